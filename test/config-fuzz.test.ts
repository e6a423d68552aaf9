import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { parseYaml } from '../src/config/document.js'
import { ConfigError, loadConfig } from '../src/config.js'

const folder = mkdtempSync(join(tmpdir(), 'config-fuzz-'))
after(() => rmSync(folder, { recursive: true }))

/** Loads `text`; the only failure allowed is a ConfigError, each mistake of which says where it is. */
async function survives(text: string): Promise<void> {
  const file = join(folder, 'o.yaml')
  writeFileSync(file, text)
  try {
    assert.ok(Object.isFrozen(await loadConfig(file)))
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.ok(error.mistakes.length > 0)
    const lines = text.split(/\r\n|\r|\n/).length
    for (const mistake of error.mistakes) {
      assert.ok(mistake.message.length > 0)
      assert.doesNotMatch(mistake.key, /\p{Cc}/u)
      const isWhole = mistake.line === 0 && mistake.key === ''
      assert.ok(isWhole || (mistake.line >= 1 && mistake.line <= lines && mistake.column >= 1), JSON.stringify(mistake))
    }
  }
}

const SEED = `dataDir: d
ssh: { listen: 127.0.0.1:0, hostKeys: [k], idleTimeout: 15m }
http: { listen: 127.0.0.1:0 }
audit: { stores: [{ type: file }], onFailure: refuse }
clusters: [{ name: a, local: { pods: [p] } }, { name: b, kubeconfig: k, agent: { port: 1, hosts: { n: 127.0.0.1 } } }]
users: [&a { name: bob, groups: [dev], password: x, keys: ["ssh-ed25519 AAAA"], roles: [user] }]
rules: [{ name: r, who: { users: [bob] }, where: [{ cluster: a, labels: { app: web } }], doors: [shell], commands: { deny: [rm, { cmd: cat, path: [x] }] }, files: { upload: true } }]
`

test('config with any part replaced fails with a list of mistakes or loads', async () => {
  const keys = [
    'dataDir',
    'ssh',
    'http',
    'audit',
    'recording',
    'clusters',
    'agentAuth',
    'login',
    'users',
    'rules',
    'drainTimeout',
    'logLevel',
    '__proto__',
    'constructor',
  ]
  const inner = [
    'name',
    'listen',
    'stores',
    'type',
    'local',
    'pods',
    'kubeconfig',
    'agent',
    'hosts',
    'who',
    'users',
    'where',
    'labels',
    'commands',
    'deny',
    'cmd',
    'files',
    '__proto__',
  ]
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom(null, true, 0, -1, 1.5, Number.NaN, '', 'a', '*', '15m', '127.0.0.1:1', 'file'),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...inner), tie('any'), { maxKeys: 4 }),
    ),
  })).any
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), value), (config) => survives(stringify(config))),
    { numRuns: 200 },
  )
})

test('config with any bytes changed fails with a list of mistakes or loads', async () => {
  const edit = fc.record({
    at: fc.nat(SEED.length),
    drop: fc.nat(8),
    insert: fc.string({
      unit: fc.constantFrom(
        '{',
        '}',
        '[',
        ']',
        ':',
        ' ',
        '\n',
        '\r',
        '*a',
        '&a',
        '"',
        "'",
        '!',
        '-',
        '#',
        '<<',
        '\u0000',
        '\u001b',
        'é',
        '|',
        '>',
        '%',
        '---\n',
        'x',
      ),
      maxLength: 4,
    }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      const text = edits.reduce((all, { at, drop, insert }) => all.slice(0, at) + insert + all.slice(at + drop), SEED)
      return survives(text)
    }),
    { numRuns: 200 },
  )
})

test('YAML of any text parses or is refused with a place', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const result = parseYaml('f', text)
      if ('mistakes' in result) assert.ok(result.mistakes.length > 0)
      else assert.ok(result.document.position(['a', 0, 'b']).line >= 1)
    }),
    { numRuns: 1000 },
  )
})

test('YAML nested without end is refused, not a crash', () => {
  for (const text of ['['.repeat(20_000), '{a: '.repeat(10_000), '- '.repeat(10_000)]) assert.ok('mistakes' in parseYaml('f', text))
})
