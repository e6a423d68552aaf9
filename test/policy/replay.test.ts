import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { StoredEvent } from '../../src/core/types.js'
import { wrongExamples, wrongExampleText } from '../../src/policy/examples.js'
import { testRules } from '../../src/policy/replay.js'
import { parseRules } from '../../src/policy/rules.js'

const rules = (more: object) => parseRules([{ name: 'dev', who: { groups: ['dev'] }, where: [{ cluster: 'a' }], ...more }])

describe('examples beside a rule', () => {
  test('are silent when the rule answers as expected', () => {
    const [rule] = rules({
      commands: { deny: ['rm'], confirm: ['reboot'] },
      examples: { allow: ['ls', { line: 'echo $x', dialect: 'posix' }], deny: ['rm x', { line: '[[ a ]]', dialect: 'posix' }], ask: ['reboot'] },
    })
    assert.ok(rule)
    assert.deepEqual(wrongExamples(rule), [])
  })
  test('say which line came out otherwise, how, and why', () => {
    const [rule] = rules({
      commands: { deny: [{ cmd: 'cat', path: ['/etc/shadow'] }] },
      examples: { allow: [{ line: 'cat shadow', cwd: '/etc' }], deny: ['rm x'] },
    })
    assert.ok(rule)
    const [first, second] = wrongExamples(rule)
    assert.deepEqual([first?.expected, first?.index, first?.got], ['allow', 0, 'deny'])
    assert.match(first ? wrongExampleText(first) : '', /^should run, but the rule refuses it \(cat: this rule denies cat on \/etc\/shadow\)$/)
    assert.equal(second ? wrongExampleText(second) : '', 'should be refused, but the rule lets it run')
  })
})

let seq = 0
const typed = (line: string, verdict: 'allow' | 'deny' | 'approved', more: object = {}): StoredEvent =>
  ({
    type: 'command',
    seq: seq++,
    time: `2026-01-01T00:00:${String(seq).padStart(2, '0')}.000Z`,
    user: 'bob',
    door: 'shell',
    target: { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n' },
    line,
    cwd: '/etc',
    verdict,
    rule: 'dev',
    confidence: 'exact',
    ...more,
  }) as StoredEvent
const groups = (user: string) => (user === 'bob' || user === 'ann' ? ['dev'] : undefined)

describe('the replay of a log against a draft', () => {
  const log = [
    typed('rm x', 'deny'),
    typed('dd if=a', 'allow'),
    typed('dd if=a', 'allow', { user: 'ann' }),
    typed('ls', 'allow'),
    typed('reboot', 'allow'),
    typed('cat shadow', 'allow'),
    typed('ls', 'allow', { user: 'gone' }),
    { type: 'checkpoint', seq: 99 } as unknown as StoredEvent,
  ]
  test('counts what would newly be refused, allowed and asked about, with the lines', async () => {
    const draft = rules({ commands: { deny: ['dd', { cmd: 'cat', path: ['/etc/shadow'] }], approve: ['reboot'] } })
    const report = await testRules(draft, log, { groups })
    const { lines, skipped, unchanged, newlyRefused, newlyAllowed, newlyAsked } = report
    assert.deepEqual(
      { lines, skipped, unchanged, newlyRefused, newlyAllowed, newlyAsked },
      { lines: 6, skipped: 1, unchanged: 1, newlyRefused: 3, newlyAllowed: 1, newlyAsked: 1 },
    )
    assert.deepEqual([report.refused[0]?.line, report.refused[0]?.count, report.refused[0]?.users], ['dd if=a', 2, ['bob', 'ann']])
    assert.equal(report.refused[1]?.line, 'cat shadow')
    assert.deepEqual([report.allowed[0]?.line, report.asked[0]?.line], ['rm x', 'reboot'])
  })
  test('the same rules change nothing, and a draft that knows nobody refuses all', async () => {
    const same = await testRules(rules({ commands: { deny: ['rm'] } }), log, { groups })
    assert.equal(same.unchanged, same.lines)
    const none = await testRules([], log, { groups })
    assert.equal(none.newlyRefused, 5)
  })
  test('labels that nobody knows any more leave the line to the rule that decided then', async () => {
    const draft = parseRules([{ name: 'dev', who: { groups: ['dev'] }, where: [{ labels: { app: 'web' } }], commands: { deny: ['rm', 'dd'] } }])
    const report = await testRules(draft, log, { groups })
    assert.deepEqual([report.lines, report.newlyRefused], [6, 2])
    const known = await testRules(draft, log, { groups, labels: () => ({ app: 'db' }) })
    assert.equal(known.newlyRefused, 5)
  })
  test('keeps so many different lines and counts the others', async () => {
    const many = Array.from({ length: 50 }, (_, i) => typed(`dd if=${i}`, 'allow'))
    const report = await testRules(rules({ commands: { deny: ['dd'] } }), many, { groups, maxLines: 10 })
    assert.deepEqual([report.newlyRefused, report.refused.length], [50, 10])
  })
})
