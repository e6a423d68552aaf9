/** A recording of an hour and tens of MB in a real browser: it opens where a search found something, and is never loaded whole. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { ConsoleWorld, missing } from '../console/support/console-world.js'
import { openHit } from '../console/support/hit-time.js'
import { type HourRecording, recordHour } from '../support/hour-recording.js'

const shows = (page: Page, text: string): Promise<unknown> =>
  page.waitForFunction((wanted) => document.querySelector('.ap-term-text')?.textContent?.includes(wanted), text)
const clock = async (page: Page): Promise<string> => (await page.getByTestId('clock').textContent()) ?? ''

/** Bytes of recordings that a page has asked for from now on. */
function counted(page: Page): () => number {
  let bytes = 0
  page.on('response', (response) => {
    if (response.url().includes('/recording')) void response.body().then((body) => (bytes += body.length))
  })
  return () => bytes
}

describe('an hour of recording', { skip: missing }, () => {
  const world = new ConsoleWorld()
  let hour: HourRecording
  before(async () => {
    hour = await recordHour(join(world.dir, 'data'), 'bob')
    assert.ok(hour.shownBytes > 20_000_000, `${hour.shownBytes} bytes`)
    await world.start()
  })
  after(() => world.stop())

  test('a search hit opens at its second with a small part of it, soon, and the time line is that of the hour', async () => {
    const page = await world.login('audra', '/audit?type=command')
    const bytes = counted(page)
    const times: number[] = []
    for (const at of [215, 17, 340]) {
      const { line, output, second } = hour.commands[at] ?? assert.fail()
      times.push(await openHit(page, line, output))
      const minutes = `${Math.floor(second / 60)}:${String(second % 60).padStart(2, '0')}`
      assert.match(await clock(page), new RegExp(`^${minutes} / (59:59|1:00:00)$`))
      assert.match(String(await page.getByRole('slider', { name: 'Time' }).getAttribute('aria-valuemax')), /^(3599|3600)$/)
      await page.locator('.command[aria-current]', { hasText: line }).waitFor()
      await page.goBack()
      await page.getByLabel('Search').waitFor()
    }
    assert.ok(bytes() < hour.shownBytes / 10, `${bytes()} of ${hour.shownBytes} bytes were loaded`)
    // the goal of 300 ms is measured by `npm run bench`; here the machine is busy with other tests
    assert.ok(Math.min(...times) < 10_000, `it took ${times.map(Math.round).join(', ')} ms`)
    await page.context().close()
  })

  test('one seeks to anywhere and back, and plays on across parts, to the end', async () => {
    const page = await world.login('audra', `/sessions/${hour.id}?at=600`)
    await shows(page, 'needle-600 was here')
    const bar = page.getByRole('slider', { name: 'Time' })
    const command = async (at: number): Promise<void> => {
      const { line, output } = hour.commands[at] ?? assert.fail()
      await page.getByLabel('Find a command').fill(line)
      await page.locator('.command', { hasText: new RegExp(`${line}(?!\\d)`) }).click()
      await shows(page, output)
    }
    for (const at of [359, 1, 180, 179]) await command(at)
    await bar.focus()
    await page.keyboard.press('Home')
    await shows(page, 'needle-0 was here')
    await command(30)
    await page.getByLabel('Speed').selectOption('8')
    await page.getByRole('button', { name: 'Play', exact: true }).click()
    await shows(page, 'needle-340 was here')
    await page.getByRole('button', { name: 'Pause' }).click()
    await bar.focus()
    await page.keyboard.press('End')
    await shows(page, ' 3599 35')
    assert.match(await clock(page), /^(59:59|1:00:00) \/ \1$/)
    await page.context().close()
  })

  test('a part that does not come is said, and asked for again', async () => {
    const page = await world.login('audra', `/sessions/${hour.id}?at=600`)
    await shows(page, 'needle-600 was here')
    await page.route('**/recording?**', (route) => route.abort())
    await page.getByRole('slider', { name: 'Time' }).focus()
    await page.keyboard.press('Home')
    await page.getByRole('alert').waitFor()
    await page.unroute('**/recording?**')
    await page.getByRole('button', { name: 'Try again' }).click()
    await shows(page, 'needle-0 was here')
    await page.getByRole('alert').waitFor({ state: 'detached' })
    await page.context().close()
  })

  test('all parts of one look are one event of the log', async () => {
    const page = await world.login('audra', `/audit?session=${hour.id}&type=admin`)
    await page.locator('.rows summary').first().waitFor()
    // three pages above, each with a login of its own
    assert.equal(await page.locator('.rows summary', { hasText: 'recording' }).count(), 3)
    await page.context().close()
  })

  test('no page asked another host, broke the policy of its content, threw, or opened a dialog', () => {
    // what a test aborted is its own
    assert.deepEqual(
      world.faults.filter((fault) => !fault.includes('ERR_FAILED')),
      [],
    )
  })
})
