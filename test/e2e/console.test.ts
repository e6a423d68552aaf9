/** The review console in a real browser, over the real gateway, watching real ssh sessions. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { ConsoleWorld, fillLogin, missing, type Shell } from '../console/support/console-world.js'

const PROMPT = /\[guarded\]\S*\$ $/
/** What a terminal is asked to do by the recording: a title, the clipboard, a link, an answer of its own. */
const ESCAPES = String.raw`printf '\033]0;owned\007\033]52;c;b3duZWQ=\007\033]8;;javascript:alert(3)\033\\link\033]8;;\033\\\033[6n end-of-escapes\n'`
const MARKUP = `echo '<script>alert(1)</script><img src=x onerror=alert(2)>'`

/** The text of the frame that the player shows. */
const frame = async (page: Page): Promise<string> => (await page.locator('.ap-term-text .ap-line').allTextContents()).join('\n')
const screenShows = (page: Page, text: string): Promise<unknown> =>
  page.waitForFunction((wanted) => document.querySelector('.xterm-rows')?.textContent?.includes(wanted), text)
const frameShows = (page: Page, text: string): Promise<unknown> =>
  page.waitForFunction((wanted) => document.querySelector('.ap-term-text')?.textContent?.includes(wanted), text)

describe('the console', { skip: missing }, () => {
  const world = new ConsoleWorld()
  before(async () => {
    await world.start()
    const bob = await world.shell('bob', 'web-0')
    await bob.run('echo first-frame', PROMPT)
    await bob.run('rm -rf keep', PROMPT)
    await bob.run('echo second-frame', PROMPT)
    bob.type('exit\r')
    await bob.ended()
    const alice = await world.shell('alice', 'db-0')
    await alice.run(MARKUP, /onerror=alert\(2\)>\r\n.*# $/)
    await alice.run(ESCAPES, / end-of-escapes\r\n.*# $/)
    await alice.run("printf '│名前│\\n'", /│名前│\r\n.*# $/)
    alice.type('exit\r')
    await alice.ended()
  })
  after(() => world.stop())

  const openFirst = async (page: Page, search: string): Promise<void> => {
    await page.goto(`${world.demo.http}/sessions?${search}`)
    await page.locator('.rows a.line').first().click()
    await page.locator('.ap-term-text').waitFor()
  }

  test('a wrong password says so and the right one opens the page that was asked for', async () => {
    const page = await world.page()
    await page.goto(`${world.demo.http}/targets`)
    await fillLogin(page, 'alice', 'not this')
    await page.getByText('User or password is wrong.').waitFor()
    await fillLogin(page, 'alice', world.user('alice').password)
    await page.getByRole('heading', { name: 'Targets' }).waitFor()
    await page.getByText('db-0', { exact: true }).waitFor()
    const cookies = await page.context().cookies()
    assert.deepEqual(
      cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]),
      [[true, 'Strict']],
    )
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Password').waitFor()
    assert.match(page.url(), /\/targets$/)
    await page.context().close()
  })

  test('filters live in the address and survive a reload', async () => {
    const page = await world.login('audra')
    await page.locator('.rows a.line').first().waitFor()
    await page.getByLabel('User').fill('bob')
    await page.waitForURL(/user=bob/)
    await page.getByLabel('State').selectOption('ended')
    await page.waitForURL(/state=ended/)
    await page.reload()
    await page.locator('.rows a.line').first().waitFor()
    assert.equal(await page.getByLabel('User').inputValue(), 'bob')
    assert.equal(await page.getByLabel('State').inputValue(), 'ended')
    assert.deepEqual(new Set(await page.locator('.rows .c-user').allInnerTexts()), new Set(['bob']))
    await page.getByLabel('User').fill('nobody-of-that-name')
    await page.getByRole('heading', { name: 'No session matches' }).waitFor()
    await page.getByRole('button', { name: 'Clear filters' }).click()
    await page.locator('.rows .c-user', { hasText: 'alice' }).first().waitFor()
    assert.doesNotMatch(page.url(), /user=|state=/)
    await page.context().close()
  })

  test('a command that the audit search finds opens the replay at its second', async () => {
    const page = await world.login('audra', '/audit?type=command')
    await page.getByLabel('Search').fill('first-frame')
    await page.waitForURL(/text=first-frame/)
    const hit = page.locator('summary', { hasText: 'echo first-frame' })
    await hit.click()
    await page.getByRole('link', { name: 'Open the session at this second' }).click()
    await page.waitForURL(/\/sessions\/[^/]+\?seq=\d+/)
    await frameShows(page, 'first-frame')
    assert.doesNotMatch(await frame(page), /second-frame/)
    await page.locator('.command[aria-current]', { hasText: 'first-frame' }).waitFor()
    await page.context().close()
  })

  test('a click on a command shows the frame at its second, and denied lines are marked on the time bar', async () => {
    const page = await world.login('audra')
    await openFirst(page, 'user=bob&text=second-frame')
    await page.getByRole('button', { name: 'echo second-frame' }).click()
    await frameShows(page, 'second-frame')
    await page.locator('.command[aria-current]', { hasText: 'second-frame' }).waitFor()
    await page.waitForURL(/at=\d/)
    await page.getByRole('button', { name: 'echo first-frame' }).click()
    await page.waitForFunction(() => !document.querySelector('.ap-term-text')?.textContent?.includes('second-frame'))
    assert.match(await frame(page), /echo first-frame/)
    assert.equal(await page.locator('.time-bar .mark.denied').count(), 1)
    assert.match(await page.locator('.time-bar .mark.denied').getAttribute('title').then(String), /rm -rf keep/)
    assert.match(await page.locator('.command.denied').innerText(), /denied/)
    // to its end, by keys, while the command that plays is marked
    await page.keyboard.press(' ')
    await page.locator('.command[aria-current]', { hasText: 'exit' }).waitFor()
    await page.context().close()
  })

  test('markup and escapes of a recording are shown and not obeyed', async () => {
    const page = await world.login('audra')
    await openFirst(page, 'user=alice&target=db-0')
    await page.getByRole('slider', { name: 'Time' }).focus()
    await page.keyboard.press('End')
    await frameShows(page, 'end-of-escapes')
    const text = await frame(page)
    assert.match(text, /<script>alert\(1\)<\/script><img src=x onerror=alert\(2\)>/)
    assert.match(text, /│名前│/)
    await page.locator('.command', { hasText: '<script>alert(1)</script>' }).waitFor()
    await page.goto(`${world.demo.http}/audit?text=onerror`)
    await page.locator('summary', { hasText: '<script>' }).first().click()
    await page.locator('.json', { hasText: '<script>alert(1)</script>' }).waitFor()
    assert.equal(await page.locator('main script, main img, a[href^="javascript"]').count(), 0)
    assert.match(await page.title(), /^Audit/)
    assert.deepEqual(world.faults, [])
    await page.context().close()
  })

  test('wide characters take two cells of the player, so that frames of boxes stay whole', async () => {
    const page = await world.login('audra')
    await openFirst(page, 'user=alice&target=db-0')
    await page.getByRole('slider', { name: 'Time' }).focus()
    await page.keyboard.press('End')
    await frameShows(page, '│名前│')
    const offsets = await page
      .locator('.ap-line', { hasText: /^│名前│/ })
      .locator('span')
      .evaluateAll((spans) => spans.map((span) => [(span as HTMLElement).innerText, Number((span as HTMLElement).style.getPropertyValue('--offset'))]))
    assert.deepEqual(
      offsets.filter(([letter]) => letter === '前' || letter === '名'),
      [
        ['名', 1],
        ['前', 3],
      ],
    )
    await page.context().close()
  })

  test('a live session is watched, locked, unlocked and ended with a reason that its user reads', async () => {
    const page = await world.login('alice')
    const shell = await world.shell('bob', 'web-1')
    await page.getByLabel('State').selectOption('live')
    await page.locator('.rows a.line', { hasText: 'web-1' }).click()
    await page.getByText('You see what the user sees.').waitFor()
    await watchesLive(page, shell)
    await lock(page)
    await shell.shows(/held by alice.*look at this/s)
    shell.type('echo held-"until"-unlock\r')
    await world.exec('bob', 'web-0', 'true') // a whole session of the same user passes meanwhile
    assert.doesNotMatch(shell.seen, /held-until-unlock/)
    await page.getByRole('button', { name: 'Unlock' }).click()
    await shell.shows(/held-until-unlock/)
    await page.getByRole('button', { name: 'End …' }).click()
    await page.getByLabel('Reason').fill('maintenance at noon')
    await page.getByRole('button', { name: 'End session' }).click()
    await shell.ended()
    assert.match(shell.seen, /maintenance at noon/)
    await page.locator('.page-head', { hasText: 'Ended' }).waitFor()
    await page.locator('.ap-term-text').waitFor()
    await page.context().close()
  })

  async function watchesLive(page: Page, shell: Shell): Promise<void> {
    await shell.run('echo ready-"to"-watch', /ready-to-watch/)
    await screenShows(page, 'ready-to-watch')
    const shown = screenShows(page, 'seen-live').then(() => performance.now())
    await shell.run('echo seen-"live"', /seen-live/)
    const delayMs = (await shown) - performance.now()
    assert.ok(delayMs < 1000, `the view is ${delayMs} ms behind`)
    await page.getByRole('button', { name: 'echo seen-"live"' }).waitFor()
  }

  async function lock(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Lock' }).click()
    await page.getByLabel('Reason').fill('look at this')
    await page.getByRole('dialog').getByRole('button', { name: 'Lock' }).click()
    await page.getByText('What the user types is held.').waitFor()
  }

  test('a session is reviewed with a note, and its evidence pack is a tar', async () => {
    const page = await world.login('audra')
    await openFirst(page, 'user=bob&text=second-frame')
    await page.getByRole('button', { name: 'Mark as reviewed' }).click()
    await page.getByLabel('Note').fill('nothing was <b>removed</b>')
    await page.getByRole('dialog').getByRole('button', { name: 'Mark as reviewed' }).click()
    await page.getByText('reviewed by audra').waitFor()
    await page.getByRole('tab', { name: 'Facts' }).click()
    await page.getByText('nothing was <b>removed</b>').waitFor()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Evidence pack' }).click()])
    const pack = readFileSync(await download.path())
    assert.equal(pack.subarray(257, 262).toString(), 'ustar')
    assert.match(download.suggestedFilename(), /^evidence-.*\.tar$/)
    await page.context().close()
  })

  test('the role user sees own sessions only, and nothing of users, rules and health', async () => {
    const page = await world.login('bob')
    await page.locator('.rows a.line').first().waitFor()
    assert.deepEqual(new Set(await page.locator('.rows .c-user').allInnerTexts()), new Set(['bob']))
    assert.deepEqual(await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts(), [
      'Sessions',
      'Audit',
      'Approvals',
      'Targets',
      'Terminal',
    ])
    await page.goto(`${world.demo.http}/users`)
    await page.getByRole('heading', { name: 'Not for your role' }).waitFor()
    const auditor = await world.login('audra')
    await openFirst(auditor, 'user=alice')
    await page.goto(auditor.url())
    await page.getByRole('alert').waitFor()
    assert.equal(await page.locator('.command').count(), 0)
    await page.context().close()
    await auditor.context().close()
  })

  test('keys move through the list, search, open and explain themselves', async () => {
    const page = await world.login('audra')
    await page.locator('.rows a.line').first().waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    assert.equal(await page.evaluate(() => document.activeElement === document.querySelector('.rows a.line')), true)
    await page.keyboard.press('/')
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Search lines, paths, reasons')
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('g')
    await page.keyboard.press('r')
    await page.getByRole('heading', { name: 'Rules', exact: true }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('s')
    await page.locator('.rows a.line').first().waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/sessions\/\w/)
    await page.context().close()
  })

  test('the terminal of the page is a shell in a pod, and says how it ended', async () => {
    const page = await world.login('alice', '/terminal?target=web-1')
    await page.getByText('open', { exact: true }).waitFor()
    await page.waitForFunction(() => /[#$]\s*$/.test(document.querySelector('.xterm-rows')?.textContent?.trimEnd() ?? ''))
    await page.keyboard.type('echo in-"the"-browser; stty size\r')
    await screenShows(page, 'in-the-browser')
    await page.keyboard.type('exit 3\r')
    await page.getByText('The session has ended with exit status 3.').waitFor()
    await page.getByRole('button', { name: 'Open again' }).waitFor()
    await page.context().close()
  })

  test('no page asked another host, broke the policy of its content, threw, or opened a dialog', () => {
    assert.deepEqual(world.faults, [])
  })
})
