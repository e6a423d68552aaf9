import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { RuleBook, RuleReload } from '../../src/build/rules.js'
import { loadConfig } from '../../src/config.js'
import type { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Identity, Session, StoredEvent, Target } from '../../src/core/types.js'
import { InputGate } from '../../src/session/lock.js'
import { SessionRegistry } from '../../src/session/registry.js'

const home = mkdtempSync(join(tmpdir(), 'reload-'))
after(() => rmSync(home, { recursive: true }))
const BOB: Identity = { user: 'bob', groups: ['dev'], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const WEB: Target = { cluster: 'demo', namespace: 'default', pod: 'web-0', container: 'shell', uid: 'u', node: 'n', containerId: 'local://1', labels: {} }
const CONFIG = 'clusters: [{ name: demo, local: { pods: [web-0] } }]\nusers: users.yaml\nrules: rules.yaml\n'
const USERS = '- { name: bob, groups: [dev] }\n'
const rule = (more: string) => `- name: dev\n  who: { groups: [dev] }\n  where: [{ cluster: demo }]\n${more}`
let made = 0

/** A gateway's rules, with one live shell of bob. */
async function inForce(rules: string) {
  const folder = join(home, String(made++))
  const { mkdirSync } = await import('node:fs')
  mkdirSync(folder)
  const path = (name: string) => join(folder, name)
  const write = (name: string, text: string): void => {
    writeFileSync(path(`${name}.new`), text)
    renameSync(path(`${name}.new`), path(name))
  }
  for (const [name, text] of Object.entries({ 'opserver.yaml': CONFIG, 'users.yaml': USERS, 'rules.yaml': rules })) write(name, text)
  const config = await loadConfig(path('opserver.yaml'))
  const book = new RuleBook(config.rules, config.users)
  const registry = new SessionRegistry()
  const ends: OpsError[] = []
  const grant = book.policy.decide({ kind: 'open', identity: BOB, target: WEB, door: 'shell' })
  assert.ok(grant.allow)
  const session: Session = { id: 's', door: 'shell', identity: BOB, target: WEB, startedAt: new Date(0), signal: new AbortController().signal }
  const facts = { via: () => undefined, bytes: () => ({ in: 0, out: 0 }), notify: () => {}, gate: new InputGate(), closed: new Promise<void>(() => {}) }
  registry.add({ session, rule: grant.rule, isGuarded: grant.commands !== undefined, ...facts, end: (reason) => ends.push(reason) })
  const events: AuditEvent[] = []
  let failing = false
  let changed = (): void => {}
  const audit = {
    write: async (event: AuditEvent): Promise<StoredEvent> => {
      if (failing) throw new Error('disk full')
      events.push(event)
      changed()
      return { ...event, seq: events.length, time: '', prev: '', hash: '' } as StoredEvent
    },
  }
  const reload = await RuleReload.start({ config, book, registry, audit, log: silentLogger })
  const event = (): Promise<void> =>
    new Promise((resolve, reject) => {
      // watching does not keep a process alive; waiting for it must
      const late = setTimeout(() => reject(new Error('no event came')), 10_000)
      changed = () => {
        clearTimeout(late)
        resolve()
      }
    })
  const actions = (): string[] => events.flatMap((each) => (each.type === 'admin' ? [each.action] : []))
  const line = (text: string, identity = BOB): boolean =>
    book.policy.decide({ kind: 'run', identity, target: WEB, door: 'shell', line: text, dialect: 'bash', cwd: '/' }).allow
  return { write, book, reload, events, actions, ends, line, event, fail: (now: boolean) => (failing = now) }
}

test('a rules file that is renamed over takes effect by itself, at the next line of a live shell', async () => {
  const { write, reload, actions, events, ends, line, event } = await inForce(rule('  commands: { deny: [rm] }\n'))
  assert.deepEqual([line('rm x'), line('dd x')], [false, true])
  const told = event()
  write('rules.yaml', rule('  commands: { deny: [dd] }\n'))
  await told
  await reload.look()
  assert.deepEqual([line('rm x'), line('dd x')], [true, false])
  assert.deepEqual([actions(), ends.length], [['rules.reload'], 0])
  const [admin] = events
  assert.ok(admin?.type === 'admin')
  assert.match(JSON.stringify([admin.before, admin.after]), /^\[\{"sha256":"[0-9a-f]{64}"\},\{"sha256":"[0-9a-f]{64}"\}\]$/)
  await reload.look()
  assert.equal(events.length, 1)
  await reload.close()
  await reload.close()
})

test('a broken rules file keeps the old set, says where it is broken, and takes effect once it is mended', async () => {
  const { write, reload, actions, line, events } = await inForce(rule('  commands: { deny: [rm] }\n'))
  write('rules.yaml', rule('  commands: { deny: [dd], allowed: yes }\n'))
  await reload.look()
  assert.deepEqual([line('rm x'), line('dd x')], [false, true])
  assert.match(reload.status().trouble ?? '', /rules\.yaml:4:\d+: rules\[0\]\.commands\.allowed: is not a known key .*the set before it is in force/)
  await reload.look()
  assert.deepEqual([actions(), reload.status().refusals], [['rules.reload.refused'], 1])
  assert.match(JSON.stringify(events[0]), /is not a known key/)
  write('rules.yaml', rule('  commands: { deny: [dd] }\n'))
  await reload.look()
  assert.deepEqual([line('rm x'), line('dd x'), reload.status().trouble], [true, false, undefined])
  await reload.close()
})

test('a session that the new rules do not allow ends with the reason', async () => {
  const { write, reload, ends } = await inForce(rule(''))
  write('rules.yaml', rule('  doors: [exec]\n'))
  await reload.look()
  assert.match(ends[0]?.userText ?? '', /the rules have changed: no rule lets bob open shell on demo\/default\/web-0\/shell/)
  await reload.close()
})

test('a plain shell ends when its rule gets a command list, and says why', async () => {
  const { write, reload, ends } = await inForce(rule(''))
  write('rules.yaml', rule('  commands: { allow: [ls] }\n'))
  await reload.look()
  assert.match(ends[0]?.userText ?? '', /rule dev has a command list by now, connect again/)
  await reload.close()
})

test('a group that was taken away counts at the next line of who is logged in, and an account that is gone ends', async () => {
  const { write, reload, ends, line, actions } = await inForce(rule(''))
  assert.equal(line('ls'), true)
  write('users.yaml', '- { name: bob }\n')
  await reload.look()
  assert.deepEqual([line('ls'), ends.length, actions()], [false, 1, ['users.reload']])
  write('users.yaml', '- { name: eve, groups: [dev] }\n')
  await reload.look()
  assert.match(ends[1]?.userText ?? '', /the account does not exist any more/)
  // somebody whom this directory never knew comes from elsewhere, with groups of their own
  assert.equal(line('ls', { ...BOB, user: 'token-holder' }), true)
  await reload.close()
})

test('a change whose event cannot be kept does not take effect until it can', async () => {
  const { write, reload, line, fail } = await inForce(rule('  commands: { deny: [rm] }\n'))
  fail(true)
  write('rules.yaml', rule('  commands: { deny: [dd] }\n'))
  await reload.look()
  assert.deepEqual([line('rm x'), line('dd x')], [false, true])
  fail(false)
  await reload.look()
  assert.deepEqual([line('rm x'), line('dd x')], [true, false])
  await reload.close()
})

test('SIGHUP makes it look at once', async () => {
  const { write, reload, line, event } = await inForce(rule('  commands: { deny: [rm] }\n'))
  const told = event()
  write('rules.yaml', rule('  commands: { deny: [dd] }\n'))
  process.emit('SIGHUP')
  await told
  await reload.look()
  assert.equal(line('dd x'), false)
  await reload.close()
  assert.equal(process.listenerCount('SIGHUP'), 0)
})
