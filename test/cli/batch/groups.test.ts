import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { foldNames, groupOutcomes } from '../../../src/cli/batch/groups.js'
import { batchExit, type Outcome } from '../../../src/cli/batch/outcome.js'
import { jsonReport, junitReport } from '../../../src/cli/batch/report.js'

const exited = (code: number, stdout = '', stderr = ''): Outcome => ({
  kind: 'exited',
  code,
  stdout: Buffer.from(stdout),
  stderr: Buffer.from(stderr),
  truncated: false,
  ms: 12,
})
const facts = { batch: 'b-1', command: ['cat', '<x>'], startedAt: new Date('2026-11-23T00:00:00Z'), ms: 1500 }

test('equal results are one group, the largest first and what failed last', () => {
  const groups = groupOutcomes(
    new Map<string, Outcome>([
      ['odd', exited(0, 'b')],
      ['bad', exited(1, 'a')],
      ['one', exited(0, 'a')],
      ['two', exited(0, 'a')],
      ['no', { kind: 'refused', message: 'rule x', ms: 1 }],
    ]),
  )
  assert.deepEqual(
    groups.map((group) => group.items),
    [['one', 'two'], ['odd'], ['bad'], ['no']],
  )
})

test('output that moved between stdout and stderr is not the same', () => {
  const outcomes = new Map([
    ['a', exited(0, 'ab', 'c')],
    ['b', exited(0, 'a', 'bc')],
  ])
  assert.equal(groupOutcomes(outcomes).length, 2)
})

test('names in a row are folded', () => {
  assert.deepEqual(foldNames(['web-0', 'web-1', 'web-2', 'db-7', 'web-9', 'core-0', 'core-1']), ['web-[0-2,9]', 'db-7', 'core-[0,1]'])
  assert.deepEqual(foldNames(['web-0.shop.a', 'web-1.shop.a']), ['web-[0,1].shop.a'])
  assert.deepEqual(foldNames(['web-007', 'web-008']), ['web-007', 'web-008'])
})

test('every name can be read back from the folded ones', () => {
  const name = fc.stringMatching(/^[a-z]{0,3}-?[0-9]{0,3}[a-z-]{0,3}[0-9]{0,2}$/)
  fc.assert(
    fc.property(fc.array(name, { maxLength: 30 }), (names) => {
      const unfolded = foldNames(names).flatMap((folded) => {
        const match = /^(.*)\[([\d,-]+)\](.*)$/.exec(folded)
        if (!match) return [folded]
        return (match[2] ?? '').split(',').flatMap((part) => {
          const [from = 0, to = from] = part.split('-').map(Number)
          return Array.from({ length: to - from + 1 }, (_, i) => `${match[1]}${from + i}${match[3]}`)
        })
      })
      assert.deepEqual(unfolded.sort(), [...new Set(names)].sort())
    }),
  )
})

test('the exit code of a batch is the one code of all failures, or the gravest', () => {
  assert.equal(batchExit([exited(0), exited(0)]), 0)
  assert.equal(batchExit([exited(0), exited(3), exited(3)]), 3)
  assert.equal(batchExit([exited(1), exited(3)]), 1)
  assert.equal(batchExit([exited(1), { kind: 'refused', message: '', ms: 0 }]), 254)
  assert.equal(batchExit([exited(1), { kind: 'skipped', message: '' }]), 255)
})

test('the JSON report holds every pod, and bytes that are no text as base64', () => {
  const report = JSON.parse(
    JSON.stringify(
      jsonReport(
        facts,
        new Map<{ id: string }, Outcome>([
          [{ id: 'a' }, { ...exited(0), stdout: Buffer.from([0xff]) } as Outcome],
          [{ id: 'b' }, { kind: 'skipped', message: 'why' }],
        ]),
      ),
    ),
  )
  assert.equal(report.exit, 255)
  assert.deepEqual(report.counts, { succeeded: 1, skipped: 1 })
  assert.equal(report.results[0].stdoutBase64, '/w==')
  assert.deepEqual(report.results[1], { target: 'b', kind: 'skipped', message: 'why', exit: 255 })
})

test('the JUnit report counts and escapes', () => {
  const text = junitReport(
    facts,
    new Map<{ id: string }, Outcome>([
      [{ id: 'a/shop/web-0/web' }, exited(1, 'a < b & \x1b[31m"c"\ud800')],
      [{ id: 'a/shop/web-1/web' }, { kind: 'refused', message: 'no "rm"', ms: 3 }],
      [{ id: 'a/shop/web-2/web' }, { kind: 'skipped', message: 'stopped' }],
    ]),
  )
  assert.match(text, /tests="3" failures="1" errors="1" skipped="1" time="1.5"/)
  assert.match(text, /name="dockctl exec -- cat &lt;x&gt;"/)
  assert.match(text, /classname="a.shop.web-0" name="web" time="0.012"/)
  assert.match(text, /a &lt; b &amp; \ufffd\[31m&quot;c&quot;\ufffd/)
  assert.match(text, /<error message="refused: no &quot;rm&quot;"\/>/)
})
