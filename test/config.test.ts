import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { agentHost } from '../src/config/values.js'
import { ConfigError, checkConfig, loadConfig, printMistakes } from '../src/config.js'
import { OpsError } from '../src/core/errors.js'
import { verifyPassword } from '../src/identity/password.js'
import { ed25519 } from './identity/keys.js'

const folder = mkdtempSync(join(tmpdir(), 'config-'))
after(() => rmSync(folder, { recursive: true }))
let made = 0

/** Writes files into a folder of their own and answers the path of the first. */
function write(files: Readonly<Record<string, string>>, mode = 0o600): string {
  const home = join(folder, String(made++))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true })
    writeFileSync(join(home, name), text)
    chmodSync(join(home, name), mode)
  }
  return join(home, Object.keys(files)[0] as string)
}
const LEAST = `
clusters: [{ name: demo, local: { pods: [web-0] } }]
users: []
rules: []
`
/** LEAST with more keys. */
function least(more = ''): string {
  return write({ 'opserver.yaml': `${LEAST}${more}\n` })
}
/** What is wrong, as `LINE:COLUMN KEY: MESSAGE`, files left out. */
async function wrong(file: string): Promise<string[]> {
  const { mistakes } = await checkConfig(file)
  return mistakes.map(({ line, column, key, message }) => `${line}:${column} ${key}: ${message}`)
}
async function odd(file: string): Promise<string[]> {
  const { mistakes, warnings } = await checkConfig(file)
  assert.deepEqual(mistakes, [])
  return warnings.map(({ line, key, message }) => `${line} ${key}: ${message}`)
}
function assertMatches(lines: readonly string[], patterns: readonly RegExp[]): void {
  assert.equal(lines.length, patterns.length, lines.join('\n'))
  for (const pattern of patterns)
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern}\n${lines.join('\n')}`,
    )
}

describe('config', () => {
  test('fills in every default, with paths relative to the file', async () => {
    const file = least()
    const home = dirname(file)
    assert.deepEqual(await loadConfig(file), {
      file,
      dataDir: join(home, 'data'),
      ssh: {
        listen: { host: '127.0.0.1', port: 2222 },
        hostKeys: [join(home, 'keys/ssh_host_ed25519_key'), join(home, 'keys/ssh_host_ecdsa_key')],
        maxConnections: 4000,
        maxConnectionsPerAddress: 64,
        maxAuthAttempts: 6,
        loginGraceTimeMs: 120_000,
        keepaliveIntervalMs: 30_000,
        keepaliveCountMax: 3,
        rekeyBytes: 2 ** 30,
        rekeyIntervalMs: 3_600_000,
      },
      http: { listen: { host: '127.0.0.1', port: 8080 }, tokenLifetimeMs: 8 * 3_600_000, origins: [], exec: { perUser: 256, total: 2000 } },
      audit: { stores: [{ type: 'file' }], onFailure: 'refuse', maxFileBytes: 256 * 2 ** 20 },
      recording: { onFailure: 'refuse', execMaxBytes: 2 ** 20 },
      resourceManager: { timeoutMs: 5000, cacheMs: 30_000, labels: { subsystem: 'subsystem', subsystemId: 'subsystem-id', dcn: 'dcn' } },
      clusters: [{ kind: 'local', name: 'demo', pods: ['web-0'] }],
      login: {
        userFreeFailures: 3,
        userLockAfter: 10,
        userLockAfterEverywhere: 100,
        addressFreeFailures: 10,
        addressLockAfter: 100,
        firstDelayMs: 1000,
        maxDelayMs: 8000,
        windowMs: 900_000,
        lockMs: 900_000,
        maxTracked: 10_000,
        concurrentHashes: 2,
        maxPendingPerAddress: 64,
        maxPending: 512,
      },
      users: [],
      rules: [],
      drainTimeoutMs: 30_000,
      logLevel: 'info',
      warnings: [],
    })
  })

  test('reads every key that it has', async () => {
    const key = ed25519()
    const file = write({
      'etc/opserver.yaml': `
dataDir: /var/lib/opserver
drainTimeout: 1m
logLevel: debug
ssh: { listen: "[::1]:0", hostKeys: [a, /b], banner: "hi\\n", maxConnections: 5, maxConnectionsPerAddress: 2, maxAuthAttempts: 3, loginGraceTime: 30s,
  keepaliveInterval: 5s, keepaliveCountMax: 2, idleTimeout: 15m, maxSessionTime: 12h, rekeyBytes: 16MiB, rekeyInterval: 10m }
http: { listen: localhost:8443, tls: { cert: ../tls/cert, key: ../tls/key }, tokenLifetime: 1h }
audit: { stores: [{ type: redis, url: "redis://:pw@127.0.0.1:6379/0", stream: s }, { type: file }], onFailure: continue, maxFileSize: 64MiB, retention: { maxAge: 365d, maxSize: 50GiB }, anchor: { file: anchor.json } }
recording: { onFailure: continue, maxBytes: 1GiB, execMaxBytes: 64KiB, maxAge: 90d, encryption: { keyFile: tapes.key } }
clusters:
  - { name: a, kubeconfig: ../tls/cert, context: c, via: agent, agent: { port: 8085, hosts: { n1: 10.0.0.1 } }, namespaces: [shop], setIdKeys: [set] }
  - { name: b, kubeconfig: ../tls/cert }
  - { name: c, kubeconfig: ../tls/cert, agent: { port: 1 } }
  - { name: dk, docker: "unix:///var/run/docker.sock" }
agentAuth: { ca: ../tls/cert, cert: ../tls/cert, key: ../tls/key }
login: { userFreeFailures: 0, lockFor: 1h, concurrentHashes: 4 }
users: users.yaml
rules: ../rules/rules.yaml
`,
      'etc/users.yaml': `- { name: alice, keys: ["${key.line}"] }`,
      'rules/rules.yaml': '- { name: all, who: { users: [alice] }, where: [{ cluster: "*" }] }',
      'tls/cert': '',
      'tls/key': '',
    })
    const home = dirname(dirname(file))
    const config = await loadConfig(file)
    assert.equal(config.dataDir, '/var/lib/opserver')
    assert.deepEqual(config.ssh, {
      listen: { host: '::1', port: 0 },
      hostKeys: [join(home, 'etc/a'), '/b'],
      banner: 'hi\n',
      maxConnections: 5,
      maxConnectionsPerAddress: 2,
      maxAuthAttempts: 3,
      loginGraceTimeMs: 30_000,
      keepaliveIntervalMs: 5000,
      keepaliveCountMax: 2,
      idleTimeoutMs: 900_000,
      maxSessionTimeMs: 43_200_000,
      rekeyBytes: 2 ** 24,
      rekeyIntervalMs: 600_000,
    })
    const tls = { cert: join(home, 'tls/cert'), key: join(home, 'tls/key') }
    assert.deepEqual(config.http, {
      listen: { host: 'localhost', port: 8443 },
      tls,
      tokenLifetimeMs: 3_600_000,
      origins: [],
      exec: { perUser: 256, total: 2000 },
    })
    assert.deepEqual(config.audit, {
      stores: [{ type: 'redis', url: 'redis://:pw@127.0.0.1:6379/0', stream: 's' }, { type: 'file' }],
      onFailure: 'continue',
      maxFileBytes: 64 * 2 ** 20,
      retention: { maxAgeMs: 365 * 86_400_000, maxBytes: 50 * 2 ** 30 },
      anchor: { file: join(dirname(config.file), 'anchor.json') },
    })
    const encryption = { keyFile: join(dirname(config.file), 'tapes.key'), recipients: [] }
    assert.deepEqual(config.recording, { onFailure: 'continue', maxBytes: 2 ** 30, execMaxBytes: 65_536, maxAgeMs: 90 * 86_400_000, encryption })
    const kubeconfig = join(home, 'tls/cert')
    assert.deepEqual(config.clusters, [
      {
        kind: 'kubernetes',
        name: 'a',
        kubeconfig,
        context: 'c',
        via: 'agent',
        agent: { port: 8085, hosts: { n1: '10.0.0.1' } },
        namespaces: ['shop'],
        setIdKeys: ['set'],
      },
      { kind: 'kubernetes', name: 'b', kubeconfig, via: 'apiserver' },
      { kind: 'kubernetes', name: 'c', kubeconfig, via: 'auto', agent: { port: 1, hosts: {} } },
      { kind: 'docker', name: 'dk', docker: 'unix:///var/run/docker.sock' },
    ])
    assert.deepEqual(config.agentAuth, { ca: tls.cert, ...tls })
    assert.equal(config.login.lockMs, 3_600_000)
    assert.equal(config.users[0]?.keys[0]?.blob, key.blob.toString('base64'))
    assert.equal(config.rules[0]?.name, 'all')
  })

  test('is frozen to its depth', async () => {
    const config = await loadConfig(least('ssh: { hostKeys: [k] }'))
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      assert.ok(Object.isFrozen(value))
      for (const part of Object.values(value)) walk(part)
    }
    walk(config)
    assert.throws(() => Reflect.apply(Array.prototype.push, config.ssh.hostKeys, ['x']), TypeError)
  })

  test('lists every mistake of all its files with line, column and key', async () => {
    const file = write({
      'opserver.yaml': `ssh: { listen: 2222, idleTimeout: 5 minutes, nope: 1 }
htp: {}
http:
  listen: :80
clusters:
  - { name: a.b, kubeconfig: k, via: agent }
  - { name: dk, docker: /sock, local: {} }
  - name: dk
    local: { pods: [] }
users: users.yaml
rules: rules.yaml
`,
      'users.yaml': `- name: bob
  password: hunter2
- { name: bob, keys: ["ssh-dss AAAA"], roles: [root] }
- groups: [x]
`,
      'rules.yaml': `- name: r
  who: {}
  where: [{ cluser: a }]
- name: r
  who: { users: [bob] }
  where: [{ cluster: dk }]
  commands: { deny: [{ cmd: rm, flags: ["-r"] }, [x]] }
`,
    })
    const home = dirname(file)
    const expected = [
      'opserver.yaml:1:16: ssh.listen: must be HOST:PORT, like 127.0.0.1:2222, in quotes when it starts with "["',
      'opserver.yaml:1:35: ssh.idleTimeout: "5 minutes" is not a duration: write a number and ms, s, m, h or d, like 15m',
      'opserver.yaml:1:46: ssh.nope: is not a known key',
      'opserver.yaml:2:1: htp: is not a known key',
      'opserver.yaml:4:11: http.listen: must be HOST:PORT, like 127.0.0.1:2222 or "[::1]:2222"',
      'opserver.yaml:6:13: clusters[0].name: must be 1 to 63 small letters, digits or "-": it stands in addresses',
      'opserver.yaml:6:38: clusters[0].via: needs agent: {port: …} to know where the agents listen (a.b)',
      'opserver.yaml:7:5: clusters[1]: must have exactly one of kubeconfig, docker and local (dk)',
      'opserver.yaml:8:11: clusters[2].name: is the name of the cluster on line 7 already',
      'opserver.yaml:9:14: clusters[2].local.pods: must name at least one pod (dk)',
      'rules.yaml:2:3: rules[0].who: must name users or groups: users: ["*"] means everyone (r)',
      'rules.yaml:3:13: rules[0].where[0].cluser: is not a known key (r)',
      'rules.yaml:4:9: rules[1].name: is the name of the rule on line 1 already',
      'rules.yaml:7:41: rules[1].commands.deny[0].flags[0]: must be the spellings of one flag without dashes, like "r|R|recursive" (r)',
      'rules.yaml:7:50: rules[1].commands.deny[1]: must be text or a map, not a list (r)',
      'users.yaml:2:13: users[0].password: is not an argon2id or scrypt hash: make one with "opserver passwd" (bob)',
      'users.yaml:3:11: users[1].name: is the name of the user on line 1 already',
      'users.yaml:3:23: users[1].keys[0]: ssh-dss keys are too weak: use ssh-ed25519 (bob)',
      'users.yaml:3:48: users[1].roles[0]: must be one of user, auditor, admin (bob)',
      'users.yaml:4:3: users[2].name: is missing',
    ].map((line) => `${join(home, line)}\n`)
    const { mistakes } = await checkConfig(file)
    const printed = printMistakes(mistakes)
    assert.deepEqual(printed.split(/(?<=\n)/), expected)
    assert.ok(!printed.includes('hunter2'))

    const error = await loadConfig(file).then(
      () => assert.fail('it was loaded'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof ConfigError && error instanceof OpsError)
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.equal(error.exit, 1)
    assert.deepEqual(error.mistakes, mistakes)
    assert.match(error.message, /opserver\.yaml:2:1: htp/)
  })

  test('says so when a file is missing, empty, no YAML, or several documents', async () => {
    const missing = await wrong(join(folder, 'nothing.yaml'))
    assert.deepEqual(missing, ['0:0 : cannot be read: no such file'])
    assert.deepEqual(await wrong(write({ f: '' })), ['0:0 : is empty or holds no map or list'])
    assert.deepEqual(await wrong(write({ f: 'text' })), ['0:0 : is empty or holds no map or list'])
    assertMatches(await wrong(write({ f: '[]' })), [/^1:1 : the file must hold a map/])
    assertMatches(await wrong(write({ f: 'a: 1\n---\nb: 1' })), [/^2:1 : a second document starts here/])
    assertMatches(await wrong(write({ f: `${LEAST}ssh: {}\nssh: {}` })), [/^6:1 : Map keys must be unique/])
    assertMatches(await wrong(write({ f: `${LEAST}dataDir: !!js/function x` })), [/^5:10 : Unresolved tag/])
    assertMatches(await wrong(write({ f: LEAST.replace('users: []', 'users: u.yaml') })), [
      /^3:8 users: names "u.yaml", which cannot be used/,
      /^0:0 : .*no such file/,
    ])
    const latin1 = write({ f: '' })
    writeFileSync(latin1, Buffer.from([0x61, 0x3a, 0x20, 0xe9]))
    assert.deepEqual(await wrong(latin1), ['0:0 : cannot be read: it is not UTF-8'])
  })

  test('names each part that must be there', async () => {
    assertMatches(await wrong(write({ f: 'dataDir: x' })), [/clusters: is missing/, /users: is missing/, /rules: is missing/])
  })

  test('refuses an alias that stands for more and more of itself', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `k${i + 1}: &k${i + 1} [${`*k${i},`.repeat(9)}]`)
    assertMatches(await wrong(write({ f: `k0: &k0 [x]\n${levels.join('\n')}` })), [/cannot be read: Excessive alias count/])
  })

  test('follows an anchor to the line where it was written', async () => {
    const file = write({ f: `clusters: []\nrules: []\nusers:\n  - &b { name: bob, password: x }\n  - { name: eve, groups: *g }\n`.replace('*g', '[]') })
    assertMatches(await wrong(file), [/^4:31 users\[0\]\.password/])
  })
})

describe('config values', () => {
  const cases: readonly [yaml: string, pattern: RegExp][] = [
    ['ssh: { listen: "0.0.0.0:99999" }', /ssh\.listen: must be HOST:PORT/],
    ['ssh: { listen: "[x]:22" }', /ssh\.listen: must be HOST:PORT/],
    ['ssh: { hostKeys: [] }', /hostKeys: must name at least one file/],
    ['ssh: { maxConnections: 0 }', /maxConnections: must be at least 1/],
    ['ssh: { maxConnections: 1.5 }', /maxConnections: must be a whole number/],
    ['ssh: { maxConnections: .nan }', /maxConnections: must be a whole number/],
    ['ssh: { idleTimeout: 0s }', /idleTimeout: must be at least 1000 ms/],
    ['ssh: { idleTimeout: 90d }', /idleTimeout: must be at most 24 days/],
    ['ssh: { idleTimeout: 900 }', /idleTimeout: must be a duration like 15m/],
    ['ssh: { rekeyBytes: 1kB }', /rekeyBytes: must be at least/],
    ['ssh:', /ssh: must be a map, not empty/],
    ['http: { tls: { cert: x } }', /http\.tls\.key: is missing/],
    ['http: { listen: "127.0.0.1:2222" }', /http\.listen: is the address of ssh\.listen already/],
    ['audit: { stores: [] }', /audit\.stores: must hold at least one store/],
    ['audit: { stores: [{ type: file }, { type: file }] }', /audit\.stores: must not hold two file stores/],
    ['audit: { stores: [{ type: kafka }] }', /audit\.stores\[0\]\.type: must have a type: file or redis/],
    ['audit: { stores: [{ type: redis }] }', /audit\.stores\[0\]\.url: is missing/],
    ['audit: { stores: [{ type: redis, url: "http://x" }] }', /url: must be redis:/],
    ['audit: { onFailure: ignore }', /audit\.onFailure: must be one of refuse, continue/],
    ['login: { concurrentHashes: 1000 }', /login\.concurrentHashes: must be at most 64/],
    ['agentAuth:', /agentAuth: must be a map, not empty/],
    ['drainTimeout: soon', /drainTimeout: "soon" is not a duration/],
    ['dataDir: ""', /dataDir: must not be empty/],
    ['dataDir: 5', /dataDir: must be text, not a number: put it in quotes/],
  ]
  for (const [yaml, pattern] of cases) {
    test(`config refuses ${yaml}`, async () => assertMatches(await wrong(least(yaml)), [pattern]))
  }

  const clusters: readonly [yaml: string, patterns: readonly RegExp[]][] = [
    ['{ name: a, docker: "tcp://10.0.0.1" }', [/docker: must be unix:/]],
    ['{ name: a, local: { pods: [A] } }', [/local\.pods\[0\]: must be 1 to 63 small letters/]],
    ['{ name: a }', [/exactly one of/]],
    ['a', [/clusters\[0\]: must be a map, not text/]],
    ['{ name: a, kubeconfig: KUBE, via: ssh }', [/via: must be one of agent, apiserver, auto/]],
    ['{ name: a, kubeconfig: KUBE, via: auto }', [/via: needs agent/]],
    ['{ name: a, kubeconfig: KUBE, agent: { port: 8085 } }', [/agent: needs agentAuth/]],
    ['{ name: a, kubeconfig: KUBE, agent: { port: 8085, hosts: { n1: 127.0.0.1, n2: 10.0.0.2 } } }', [/agent: needs agentAuth/]],
    [
      '{ name: a, kubeconfig: KUBE, agent: { port: 8085, hosts: { n1: "127.0.0.1:80" } } }',
      [/agent\.hosts\.n1: must be a host name or an address, without port/],
    ],
    ['{ name: a, kubeconfig: KUBE, agent: { port: 8085, hosts: { n1: 127.0.0.1, n2: "::1" } } }', []],
    ['{ name: a, kubeconfig: KUBE, agent: { port: 8085, hosts: { "*": localhost } } }', []],
    ['{ name: a, kubeconfig: nowhere }', [/kubeconfig: names ".*nowhere", which does not exist/]],
    ['{ name: a, kubeconfig: . }', [/kubeconfig: names ".*", which is not a file/]],
  ]
  for (const [yaml, patterns] of clusters) {
    test(`config ${patterns.length > 0 ? 'refuses' : 'takes'} the cluster ${yaml}`, async () => {
      const file = write({ 'o.yaml': `clusters: [${yaml.replace('KUBE', 'kube')}]\nusers: []\nrules: []`, kube: '' })
      assertMatches(await wrong(file), patterns)
    })
  }
})

describe('config and keys on disk', () => {
  const yaml = `${LEAST}ssh: { hostKeys: [host] }\nhttp: { tls: { cert: cert, key: key } }\n`

  test('takes private keys that only their owner may use', async () => {
    assert.deepEqual(await wrong(write({ 'o.yaml': yaml, host: '', cert: '', key: '' })), [])
  })
  test('refuses private keys that others may use, naming file and mode', async () => {
    for (const mode of [0o640, 0o604, 0o660]) {
      const file = write({ 'o.yaml': yaml, host: '', cert: '', key: '' }, mode)
      const octal = `0${mode.toString(8)}`
      assertMatches(await wrong(file), [
        new RegExp(`ssh\\.hostKeys\\[0\\]: names ".*/host", .*\\(mode ${octal}\\): chmod 600 it`),
        new RegExp(`http\\.tls\\.key: names ".*/key", .*\\(mode ${octal}\\)`),
      ])
    }
  })
  test('takes a host key that is to be made, and refuses other files that are not there', async () => {
    assertMatches(await wrong(write({ 'o.yaml': yaml })), [/http\.tls\.cert: .*does not exist/, /http\.tls\.key: .*does not exist/])
  })
  test('warns of a kubeconfig that others may read', async () => {
    const files = { 'o.yaml': 'clusters: [{ name: a, kubeconfig: kube }]\nusers: []\nrules: []', kube: '' }
    assertMatches(await odd(write(files, 0o644)), [/clusters\[0\]\.kubeconfig: .*mode 0644/])
    assert.deepEqual(await odd(write(files, 0o600)), [])
  })
})

test('config warns of what is probably not meant, and loads', async () => {
  const file = write({
    'o.yaml': `http: { listen: "0.0.0.0:8080" }
clusters:
  - { name: a, local: { pods: [x] } }
  - { name: k, kubeconfig: kube, via: apiserver, agent: { port: 1 } }
  - { name: d, docker: "tcp://10.0.0.1:2375" }
users: [{ name: alice, groups: [sre] }]
rules:
  - { name: r1, who: { users: ["*", alise], groups: [sre, ser] }, where: [{ cluster: "a*" }, { cluster: [b, "c*"] }] }
  - { name: r2, who: { users: [alice] }, where: [{ cluster: a }], commands: { allow: [ls] } }
  - { name: r3, who: { users: [alice] }, where: [{ cluster: a }], files: { maxUpload: 1MiB, maxDownload: 1MiB, download: true } }
`,
    kube: '',
  })
  const config = await loadConfig(file)
  assertMatches(await odd(file), [
    /^1 http\.listen: is not loopback/,
    /^4 clusters\[1\]\.agent: is not used/,
    /^5 clusters\[2\]\.docker: .*without TLS/,
    /^6 users\[0\]: "alice" has neither password nor keys/,
    /^8 rules\[0\]\.who\.users\[1\]: names "alise"/,
    /^8 rules\[0\]\.who\.groups\[1\]: names "ser"/,
    /^8 rules\[0\]\.where\[1\]\.cluster: matches none of the clusters a, k, d/,
    /^9 rules\[1\]: lists the commands it allows and has no "files"/,
    /^10 rules\[2\]\.files\.maxUpload: has no effect/,
  ])
  assert.equal(config.warnings.length, 9)
})

test('example config of the repository loads, and warns that its passwords are known', async () => {
  const file = join(import.meta.dirname, '../config/opserver.yaml')
  const config = await loadConfig(file)
  const passwords = config.users.filter(({ password }) => password !== undefined)
  assert.ok(passwords.length > 0)
  assert.equal(config.warnings.length, passwords.length)
  for (const { message } of config.warnings) assert.match(message, /example password/)
  for (const { name, password } of passwords) assert.ok(await verifyPassword(password ?? '', `change-me-${name}`), name)
})

test('agent host comes from its node, else from "*", else from the cluster', () => {
  assert.equal(agentHost({ port: 1, hosts: { n1: 'a', '*': 'b' } }, 'n1'), 'a')
  assert.equal(agentHost({ port: 1, hosts: { n1: 'a', '*': 'b' } }, 'n2'), 'b')
  assert.equal(agentHost({ port: 1, hosts: { n1: 'a' } }, 'toString'), undefined)
})
