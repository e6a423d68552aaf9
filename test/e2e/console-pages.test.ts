/**
 * Each page of the console, light and dark, on a desk and on a phone: readable by WCAG AA as axe-core measures it, and never
 * wider than the screen. UPDATE_DOCS=1 keeps each as docs/images/PAGE-SIZE-SCHEME.png.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { ConsoleWorld, missing } from '../console/support/console-world.js'
import { repository } from '../support/world.js'

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } } as const
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** Path, and what stands there once the page is drawn. */
const PAGES = [
  ['/sessions', '.rows a.line'],
  ['/sessions?user=nobody-of-that-name', '.message'],
  ['/audit', '.rows summary'],
  ['/approvals', '.message'],
  ['/targets', '.rows .line'],
  ['/terminal', '.choose'],
  ['/users', '.rows .line'],
  ['/rules', 'ol .panel'],
  ['/health', '.facts'],
  ['/nowhere', '.message'],
] as const

/** A session that a reviewer would open. */
const LINES = ['ls -l', 'cat app.conf', 'tail -n 5 access.log', 'rm -rf releases', 'grep -c 200 access.log', 'cat /etc/shadow', 'df -h /', 'uptime']

/** What axe-core finds, a line each. */
async function violations(page: Page): Promise<string[]> {
  // as an expression: the page's policy allows no script that is not its own file
  await page.evaluate(axe.source)
  return page.evaluate(async (values) => {
    const { axe: engine } = window as unknown as { axe: typeof import('axe-core') }
    const { violations: found } = await engine.run(document, { runOnly: { type: 'tag', values } })
    return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)}: ${failureSummary ?? ''}`))
  }, RULES)
}

const widerThanScreen = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)

async function keepPicture(page: Page, name: string): Promise<void> {
  if (process.env.UPDATE_DOCS === '1') await page.screenshot({ path: join(repository, `docs/images/${name}.png`) })
}

async function checked(page: Page, what: string): Promise<void> {
  assert.deepEqual(await violations(page), [], what)
  assert.ok((await widerThanScreen(page)) <= 0, `${what} is wider than the screen`)
}

describe('every page of the console', { skip: missing }, () => {
  const world = new ConsoleWorld()
  before(async () => {
    await world.start()
    await world.exec(
      'alice',
      'web-0',
      'mkdir -p releases/42; printf "listen 8080\\nworkers 4\\n" > app.conf; for i in 4 5 6 7 8; do echo "19:0$i GET /orders 200 ${i}2ms"; done > access.log',
    )
    const bob = await world.shell('bob', 'web-0')
    for (const line of LINES) await bob.run(line, /\[guarded\]\S*\$ $/)
    bob.type('exit\r')
    await bob.ended()
    await world.exec('bob', 'web-1', 'uptime')
    await world.exec('bob', 'web-1', 'rm -rf /srv')
    await world.exec('carol', 'db-0', 'ls')
  })
  after(() => world.stop())

  for (const colorScheme of ['light', 'dark'] as const) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      test(`is readable in ${colorScheme} on a ${size}`, async () => {
        const page = await world.page({ colorScheme, viewport })
        await page.goto(world.demo.http)
        await page.getByLabel('User').waitFor()
        await checked(page, 'the log-in page')
        await keepPicture(page, `login-${size}-${colorScheme}`)
        await page.context().close()
        const known = await world.login('alice', '/sessions', { colorScheme, viewport })
        for (const [path, drawn] of PAGES) {
          await known.goto(world.demo.http + path)
          await known.locator(drawn).first().waitFor()
          if (path === '/audit') await known.locator('summary').nth(1).click()
          await checked(known, path)
          if (/^\/(?!nowhere)\w+$/.test(path)) await keepPicture(known, `${path.slice(1)}-${size}-${colorScheme}`)
        }
        await known.goto(`${world.demo.http}/sessions?user=bob&state=ended&door=shell`)
        await known.locator('.rows a.line').first().click()
        await known.locator('.ap-term-text').waitFor()
        await known.getByRole('button', { name: 'rm -rf releases' }).click()
        await known.locator('.command[aria-current]').waitFor()
        await checked(known, 'a session')
        await keepPicture(known, `session-${size}-${colorScheme}`)
        await known.getByRole('button', { name: 'Mark as reviewed' }).click()
        await known.getByRole('dialog').waitFor()
        await checked(known, 'a dialog')
        await known.context().close()
      })
    }
  }

  test('the theme is chosen by a button and kept', async () => {
    const page = await world.login('audra', '/health', { colorScheme: 'light' })
    const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
    const light = await background()
    await page.getByRole('button', { name: 'Theme: as the system' }).click()
    await page.getByRole('button', { name: 'Theme: light' }).click()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    assert.notEqual(await background(), light)
    await page.reload()
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor()
    assert.notEqual(await background(), light)
    await page.context().close()
  })

  test('a gateway that is gone is said, and what was there stays', async () => {
    const page = await world.login('audra', '/health')
    await page.locator('.facts').first().waitFor()
    await page.route('**/api/v1/health', (route) => route.abort())
    await page.getByText('Not up to date').waitFor()
    assert.ok((await page.locator('.facts').count()) > 0)
    await page.unroute('**/api/v1/health')
    await page.getByText('Not up to date').waitFor({ state: 'detached' })
    await page.context().close()
  })
})
