import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DOORS } from '../../src/core/types.js'
import { parseRules, ruleSchema } from '../../src/policy/rules.js'

const LEAST = { name: 'r', who: { users: ['bob'] }, where: [{ cluster: '*' }] }

/** The paths and messages of what is wrong with `rule`, one line each. */
function wrong(rule: unknown): string[] {
  const result = ruleSchema.safeParse(rule)
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
}

test('rules read the example of the contract', () => {
  const [sre, dev] = parseRules([
    { name: 'sre-everything', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }], doors: ['shell', 'exec'] },
    {
      name: 'dev-web',
      who: { users: ['bob'], groups: ['dev'] },
      where: [{ cluster: 'a', namespace: 'shop', labels: { app: 'web' } }],
      commands: {
        deny: ['rm', { cmd: 'dd', flags: ['of'] }, { cmd: 'cat', path: ['/etc/shadow', '*/secret'] }, { cmd: 'rm', flags: ['r|R|recursive', 'f|force'] }],
        editLimit: '10MiB',
      },
      files: { upload: true, download: true, maxUpload: '500MiB', maxDownload: '4GiB', paths: { deny: ['/etc/*'] } },
      message: 'ask #platform for write access',
    },
  ])
  assert.deepEqual(sre, {
    name: 'sre-everything',
    users: [],
    groups: ['sre'],
    where: [{ cluster: ['*'], namespace: ['*'], pod: ['*'], container: ['*'], labels: {} }],
    doors: ['shell', 'exec'],
  })
  assert.deepEqual(dev, {
    name: 'dev-web',
    users: ['bob'],
    groups: ['dev'],
    where: [{ cluster: ['a'], namespace: ['shop'], pod: ['*'], container: ['*'], labels: { app: ['web'] } }],
    doors: [...DOORS],
    commands: {
      mode: 'deny',
      entries: [
        { cmd: 'rm', flags: [], path: [] },
        { cmd: 'dd', flags: [['of']], path: [] },
        { cmd: 'cat', flags: [], path: ['/etc/shadow', '*/secret'] },
        {
          cmd: 'rm',
          flags: [
            ['r', 'R', 'recursive'],
            ['f', 'force'],
          ],
          path: [],
        },
      ],
      opaque: false,
      escapeCapable: false,
      editLimit: 10 * 2 ** 20,
      shells: ['bash', 'dash', 'ash'],
    },
    files: { upload: true, download: true, maxUpload: 500 * 2 ** 20, maxDownload: 4 * 2 ** 30, denyPaths: ['/etc/*'] },
    message: 'ask #platform for write access',
  })
})

test('rules default to the safe side', () => {
  const [rule] = parseRules([{ ...LEAST, commands: { allow: [] }, files: {} }])
  assert.deepEqual(rule?.commands, { mode: 'allow', entries: [], opaque: false, escapeCapable: false, shells: ['bash', 'dash', 'ash'] })
  assert.deepEqual(rule?.files, { upload: false, download: false, denyPaths: [] })
})

const MISTAKES: readonly [what: string, rule: unknown, expected: readonly RegExp[]][] = [
  ['unknown key', { ...LEAST, door: ['shell'] }, [/^: Unrecognized key: "door"/]],
  ['nobody', { ...LEAST, who: {} }, [/^who: must name users or groups/]],
  ['nobody twice', { ...LEAST, who: { users: [], groups: [] } }, [/^who: must name users or groups/]],
  ['nowhere', { ...LEAST, where: [] }, [/^where: must name at least one place/]],
  ['empty place', { ...LEAST, where: [{}] }, [/^where\.0: must not be empty/]],
  ['unknown door', { ...LEAST, doors: ['ssh'] }, [/^doors\.0: .*shell/]],
  ['no door', { ...LEAST, doors: [] }, [/^doors: must name at least one door/]],
  ['both lists', { ...LEAST, commands: { allow: [], deny: [] } }, [/^commands: must have either/]],
  ['no list', { ...LEAST, commands: { opaque: 'allow' } }, [/^commands: must have either/]],
  ['a line as command', { ...LEAST, commands: { deny: ['git push'] } }, [/^commands\.deny\.0: must be one command name/]],
  ['a folder in a command', { ...LEAST, commands: { deny: [{ cmd: '/bin/rm' }] } }, [/^commands\.deny\.0/]],
  ['opaque as boolean', { ...LEAST, commands: { deny: [], opaque: true } }, [/^commands\.opaque/]],
  ['size without unit', { ...LEAST, files: { maxUpload: 500 } }, [/^files\.maxUpload: must be a size/]],
  ['size with a wrong unit', { ...LEAST, files: { maxUpload: '5 gigs' } }, [/^files\.maxUpload: "5 gigs" is not a size/]],
  ['relative path glob', { ...LEAST, files: { paths: { deny: ['etc/*'] } } }, [/^files\.paths\.deny\.0: must start with/]],
  ['terminal codes in a message', { ...LEAST, message: '\u001b[2J' }, [/^message: must not hold control/]],
  ['several at once', { ...LEAST, name: '', who: {}, commands: {}, nope: 1 }, [/^name/, /^who/, /^commands/, /^: Unrecognized/]],
]

test('rules name the key of each mistake, and all of them at once', () => {
  for (const [what, rule, expected] of MISTAKES) {
    const lines = wrong(rule)
    assert.equal(lines.length, expected.length, `${what}: ${lines.join(' | ')}`)
    for (const pattern of expected) {
      assert.ok(
        lines.some((line) => pattern.test(line)),
        `${what}: ${lines.join(' | ')}`,
      )
    }
  }
})

test('rules refuse flags written with dashes, which would never match', () => {
  for (const flag of ['-r', '--recursive', 'r|-R', '', '|', 'a|', 'a b', 'of=']) {
    assert.notDeepEqual(wrong({ ...LEAST, commands: { deny: [{ cmd: 'rm', flags: [flag] }] } }), [], flag)
  }
})

test('rule schema answers for any value without throwing', () => {
  fc.assert(
    fc.property(fc.anything(), fc.anything(), (a, b) => {
      ruleSchema.safeParse(a)
      ruleSchema.safeParse({ ...LEAST, who: a, where: b, commands: a, files: b, doors: [a] })
      ruleSchema.safeParse({ ...LEAST, where: [a], commands: { deny: [b], shell: a }, files: { paths: a } })
    }),
  )
})
