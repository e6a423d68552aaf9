import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { RuleBook } from '../../src/build/rules.js'
import { SharedList } from '../../src/build/shared-list.js'
import { ruleList } from '../../src/build/shared-rules.js'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Identity, StoredEvent, Target } from '../../src/core/types.js'
import { SessionRegistry } from '../../src/session/registry.js'
import { listKeys } from '../../src/store/list-redis.js'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { tempDir } from '../support/temp-dir.js'

const RULES_KEYS = listKeys('rules')
const BOB: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const ANN: Identity = { ...BOB, user: 'ann', roles: ['user', 'admin'] }
const WEB: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const rule = (name: string, deny: string[], more: object = {}) => ({ name, who: { users: ['bob'] }, where: [{ cluster: 'a' }], commands: { deny }, ...more })

async function gateway(t: TestContext, url: string, dataDir: string, seed: readonly unknown[]) {
  const book = new RuleBook([], [])
  const events: AuditEvent[] = []
  let told = (): void => {}
  const audit = {
    write: async (event: AuditEvent): Promise<StoredEvent> => {
      events.push(event)
      told()
      return event as StoredEvent
    },
  }
  const shared = await SharedList.start(ruleList(book, new SessionRegistry()), { url, audit, log: silentLogger, dataDir }, seed)
  t.after(() => shared.close())
  const allows = (line: string): boolean => book.policy.decide({ kind: 'run', identity: BOB, target: WEB, door: 'exec', line, dialect: 'bash', cwd: '/' }).allow
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      told = resolve
    })
  const actions = (): string[] => events.flatMap((event) => (event.type === 'admin' ? [event.action] : []))
  return { shared, events, allows, next, actions }
}
const code = (expected: string) => (error: unknown) => error instanceof OpsError && error.code === expected

describe('rules in Redis', { skip: needs.program('redis-server'), timeout: 120_000 }, () => {
  test('an empty one is filled, a change reaches every gateway at once, and both have it in their audit', async (t) => {
    const { url } = await redisServer(t)
    const one = await gateway(t, url, await tempDir(t), [rule('r', ['rm'])])
    const other = await gateway(t, url, await tempDir(t), [rule('other', ['ls'])])
    assert.deepEqual([one.allows('rm x'), other.allows('rm x'), other.allows('ls')], [false, false, true])
    const heard = other.next()
    const { version } = await one.shared.put(ANN, rule('r', ['dd']))
    await heard
    await other.shared.look()
    assert.deepEqual([version, one.allows('rm x'), one.allows('dd x'), other.allows('rm x'), other.allows('dd x')], [2, true, false, true, false])
    assert.deepEqual([one.actions(), other.actions()], [['rules.change'], ['rules.reload']])
    const [change] = one.events
    assert.ok(change?.type === 'admin')
    assert.equal(change.user, 'ann')
    assert.match(JSON.stringify([change.before, change.after]), /"deny":\["rm"\].*"deny":\["dd"\]/)
  })
  test('rules are added, put before others and removed by name', async (t) => {
    const { url } = await redisServer(t)
    const { shared } = await gateway(t, url, await tempDir(t), [rule('b', ['rm'])])
    await shared.put(ANN, rule('a', ['x']), { before: 'b' })
    await shared.put(ANN, rule('c', ['x']))
    const names = () => shared.current.list.map((each) => (each as { name: string }).name)
    assert.deepEqual(names(), ['a', 'b', 'c'])
    await shared.remove(ANN, 'b')
    assert.deepEqual(names(), ['a', 'c'])
    await assert.rejects(shared.remove(ANN, 'b'), code('NOT_FOUND'))
  })
  test('what is wrong is not taken, neither from the API nor from Redis, and is told once', async (t) => {
    const server = await redisServer(t)
    const { shared, allows, actions, next } = await gateway(t, server.url, await tempDir(t), [rule('r', ['rm'])])
    await assert.rejects(shared.put(ANN, rule('r', ['dd'], { colour: 1 })), code('CONFIG_INVALID'))
    await assert.rejects(shared.put(ANN, rule('r', ['dd'], { examples: { deny: ['ls'] } })), /ls.*should be refused/)
    assert.deepEqual([allows('rm x'), actions()], [false, []])
    const heard = next()
    await server.command('HSET', RULES_KEYS.document, 'version', '7', 'rules', '[{"name":"x"}]')
    await server.command('PUBLISH', RULES_KEYS.changed, '7')
    await heard
    await shared.look()
    assert.deepEqual([allows('rm x'), actions()], [false, ['rules.reload.refused']])
    assert.match(shared.trouble ?? '', /version 1 is in force/)
    await server.command('DEL', RULES_KEYS.document)
    await shared.look()
    assert.deepEqual([allows('rm x'), allows('ls')], [false, true])
  })
  test('who has not read the newest rules does not overwrite them', async (t) => {
    const server = await redisServer(t)
    const { shared } = await gateway(t, server.url, await tempDir(t), [rule('r', ['rm'])])
    await server.command('HSET', RULES_KEYS.document, 'version', '9')
    await assert.rejects(shared.put(ANN, rule('r', ['dd']), { expected: 1 }), code('CONFLICT'))
    await shared.look()
    await shared.put(ANN, rule('r', ['dd']))
    assert.equal(shared.current.version, 10)
  })
  test('while Redis is away the last set holds, also for a start, and no start invents one', async (t) => {
    const server = await redisServer(t)
    const dir = await tempDir(t)
    const before = await gateway(t, server.url, dir, [rule('r', ['rm'])])
    await server.stop()
    await before.shared.look()
    assert.equal(before.allows('rm x'), false)
    await assert.rejects(before.shared.put(ANN, rule('r', ['dd'])), code('TARGET_UNREACHABLE'))
    const after = await gateway(t, server.url, dir, [])
    assert.deepEqual([after.allows('rm x'), after.allows('ls')], [false, true])
    assert.match(readFileSync(join(dir, 'state', 'rules.json'), 'utf8'), /"rm"/)
    await assert.rejects(gateway(t, server.url, await tempDir(t), [rule('r', [])]), code('CONFIG_INVALID'))
  })
})
