/** A line that waits for another person's yes, answered in the console. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ConsoleWorld, missing } from '../console/support/console-world.js'

const RULES = [
  { name: 'leads', who: { groups: ['leads'] }, where: [{ cluster: '*', namespace: '*' }] },
  {
    name: 'dev-asks',
    who: { groups: ['dev'] },
    where: [{ cluster: '*', namespace: '*' }],
    commands: { approve: ['echo'], approvers: { groups: ['leads'] }, approveWithin: '5m' },
  },
]

describe('approvals in the console', { skip: missing }, () => {
  const world = new ConsoleWorld()
  before(async () => {
    await world.start(RULES)
  })
  after(() => world.stop())

  test('a line runs once it is approved, is refused with a note, and its own user cannot answer it', async () => {
    const page = await world.login('ann', '/approvals')
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor()
    const shell = await world.shell('bob', 'web-0')
    shell.type('echo "<b>let"-me\r')
    await page.getByText('echo "<b>let"-me').waitFor()
    const own = await world.login('bob', '/approvals')
    await own.getByText('Waits for group leads').waitFor()
    assert.equal(await own.getByRole('button', { name: 'Approve …' }).count(), 0)
    await page.getByRole('button', { name: 'Approve …' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Approve' }).click()
    await shell.shows(/^<b>let-me\r?$/m)
    shell.type('echo once-more\r')
    await page.getByText('echo once-more').waitFor()
    await page.getByRole('button', { name: 'Refuse …' }).click()
    await page.getByLabel('Note').fill('not today')
    await page.getByRole('dialog').getByRole('button', { name: 'Refuse' }).click()
    await shell.shows(/not today/)
    await page.getByRole('heading', { name: 'Nothing waits' }).waitFor()
    assert.deepEqual(world.faults, [])
    await page.context().close()
    await own.context().close()
  })
})
