import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { AuditEvent, Identity, Role, StoredEvent, Target } from '../../src/core/types.js'
import { Approvals, approversText } from '../../src/session/approvals.js'

const identity = (user: string, groups: readonly string[] = [], roles: readonly Role[] = ['user']): Identity => ({
  user,
  groups,
  roles,
  method: 'publickey',
  from: { host: '10.0.0.1', port: 1 },
})
const target: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://x', labels: {} }
const by = { users: [], groups: ['leads'], roles: ['admin'] as const }
const bob = identity('bob', ['leads'])
const lea = identity('lea', ['leads'])

function approvals(gate?: Promise<void>): { readonly approvals: Approvals; readonly events: AuditEvent[] } {
  const events: AuditEvent[] = []
  const write = async (event: AuditEvent): Promise<StoredEvent> => {
    await gate
    events.push(event)
    return { ...event, seq: events.length, time: '', prev: '', hash: '' } as StoredEvent
  }
  return { approvals: new Approvals({ audit: { write }, maxPendingPerUser: 2 }), events }
}
const ask = (line = 'reboot', withinMs = 60_000) => ({
  line,
  session: { id: 's1', identity: bob, door: 'shell' as const, target },
  rule: 'r',
  reason: 'asks',
  by,
  withinMs,
})
const code = (expected: string) => (error: unknown) => error instanceof OpsError && error.code === expected

test('an approver lets a line through, and the decision rests before the door hears of it', async () => {
  const { approvals: all, events } = approvals()
  const answer = all.request(ask(), new AbortController().signal)
  const [pending] = all.list(lea)
  assert.ok(pending)
  const decided = await all.decide(pending.id, lea, 'approve', 'go')
  assert.equal(events.length, 1)
  assert.deepEqual(await answer, { verdict: 'approved', approver: 'lea', note: 'go' })
  assert.equal(decided.answer.approver, 'lea')
  assert.deepEqual(all.list(), [])
  await assert.rejects(all.decide(pending.id, lea, 'approve'), code('NOT_FOUND'))
})

test('nobody decides about their own line, and who is no approver does not see it', async () => {
  const { approvals: all } = approvals()
  const stop = new AbortController()
  const answer = all.request(ask(), stop.signal)
  const [pending] = all.list(bob)
  assert.ok(pending)
  await assert.rejects(all.decide(pending.id, bob, 'approve'), code('POLICY_REFUSED'))
  const eve = identity('eve', ['dev'])
  assert.deepEqual(all.list(eve), [])
  await assert.rejects(all.decide(pending.id, eve, 'approve'), code('NOT_FOUND'))
  stop.abort(new OpsError('COMMAND_REFUSED', 'withdrawn'))
  await assert.rejects(answer, code('COMMAND_REFUSED'))
  assert.deepEqual(all.list(), [])
})

test('a line is refused when its time is over, and by a note', async () => {
  const { approvals: all } = approvals()
  await assert.rejects(
    all.request(ask('reboot', 5), new AbortController().signal),
    (error: unknown) => error instanceof OpsError && /nobody answered/.test(error.detail ?? ''),
  )
  const answer = all.request(ask(), new AbortController().signal)
  await all.decide(all.list()[0]?.id ?? '', identity('ann', [], ['user', 'admin']), 'refuse', 'not today')
  assert.deepEqual(await answer, { verdict: 'refused', approver: 'ann', note: 'not today' })
})

test('a line that is withdrawn while its approval is written is not approved', async () => {
  let open = (): void => {}
  const { approvals: all } = approvals(
    new Promise((resolve) => {
      open = resolve
    }),
  )
  const stop = new AbortController()
  const answer = all.request(ask(), stop.signal)
  const deciding = all.decide(all.list()[0]?.id ?? '', lea, 'approve')
  await assert.rejects(all.decide(all.list()[0]?.id ?? '', identity('ann', ['leads']), 'refuse'), code('NOT_FOUND'))
  stop.abort(new OpsError('COMMAND_REFUSED', 'withdrawn'))
  open()
  await assert.rejects(deciding, code('NOT_FOUND'))
  await assert.rejects(answer, code('COMMAND_REFUSED'))
})

test('one user cannot fill the list', async () => {
  const { approvals: all } = approvals()
  const stop = new AbortController()
  const waiting = [all.request(ask(), stop.signal), all.request(ask(), stop.signal)]
  await assert.rejects(all.request(ask(), stop.signal), code('LIMIT_EXCEEDED'))
  stop.abort(new OpsError('SESSION_ENDED', 'over'))
  for (const each of waiting) await assert.rejects(each, code('SESSION_ENDED'))
})

test('who is asked reads as a sentence', () => {
  assert.equal(approversText({ users: ['ann'], groups: ['leads', 'sre'], roles: ['admin'] }), 'user ann or groups leads, sre or role admin')
})
