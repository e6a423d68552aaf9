import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommandRule } from '../../src/core/types.js'
import { judge } from '../../src/policy/judge.js'
import { parseRules, type Rule } from '../../src/policy/rules.js'

function commands(value: object): CommandRule {
  const [rule] = parseRules([{ name: 'r', who: { users: ['*'] }, where: [{ cluster: '*' }], commands: value }]) as [Rule]
  assert.ok(rule.commands)
  return rule.commands
}
/** `allow`, `deny`, `confirm` or `approve`. */
function answer(line: string, rule: CommandRule): string {
  const { verdict, demand } = judge(line, rule, { dialect: 'bash', cwd: '/' })
  return demand?.kind ?? verdict
}

/** rule, then lines with what they come to */
const TABLE: readonly (readonly [object, Readonly<Record<string, string>>])[] = [
  [
    { deny: ['rm'], confirm: ['reboot', { cmd: 'kill', flags: ['9|KILL'] }], approve: ['dd'] },
    {
      ls: 'allow',
      reboot: 'confirm',
      'sudo reboot': 'confirm',
      'ls; reboot': 'confirm',
      'kill 1': 'allow',
      'kill -9 1': 'confirm',
      'kill $x 1': 'confirm',
      'dd if=a': 'approve',
      'reboot; dd if=a': 'approve',
      'rm x; dd if=a': 'deny',
      'sh -c "dd if=a"': 'approve',
      'echo $(dd if=a)': 'approve',
      $x: 'deny',
      'dd (': 'deny',
    },
  ],
  // what is to be asked about is meant to run, or nobody would be asked
  [
    { allow: ['ls'], approve: ['reboot'] },
    { ls: 'allow', reboot: 'approve', 'reboot; rm x': 'deny', halt: 'deny' },
  ],
  [
    { allow: ['cat'], approve: [{ cmd: 'cat', path: ['/etc/*'] }] },
    { 'cat /srv/a': 'allow', 'cat /etc/passwd': 'approve', 'cat </etc/passwd': 'approve' },
  ],
  [{ confirm: ['reboot'] }, { rm: 'allow', reboot: 'confirm' }],
]

for (const [rule, lines] of TABLE) {
  test(`demands of ${JSON.stringify(rule)}`, () => {
    const parsed = commands(rule)
    for (const [line, expected] of Object.entries(lines)) assert.equal(answer(line, parsed), expected, line)
  })
}

test('who approves is the admins and the wait five minutes, unless the rule says otherwise', () => {
  assert.deepEqual(commands({ approve: ['dd'] }).approve, {
    entries: [{ cmd: 'dd', flags: [], path: [] }],
    by: { users: [], groups: [], roles: ['admin'] },
    withinMs: 300_000,
  })
  const own = commands({ approve: ['dd'], approvers: { groups: ['leads'] }, approveWithin: '90s' }).approve
  assert.deepEqual([own?.by, own?.withinMs], [{ users: [], groups: ['leads'], roles: [] }, 90_000])
  assert.throws(() => commands({ approve: ['dd'], approvers: {} }), /must name users, groups or roles/)
  assert.throws(() => commands({ approve: ['dd'], approveWithin: '2d' }), /at most 24h/)
  assert.throws(() => commands({}), /must have either/)
})
