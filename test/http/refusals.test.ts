import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, StoredEvent } from '../../src/core/types.js'
import { Refusals } from '../../src/http/refusals.js'

test('refusals are events up to their bound, and the rest is counted', () => {
  const events: AuditEvent[] = []
  const audit = {
    write: async (event: AuditEvent): Promise<StoredEvent> => {
      events.push(event)
      return { ...event, seq: events.length, time: '', prev: '', hash: '' }
    },
  }
  const refusals = new Refusals(audit, silentLogger, { perAddress: 2, total: 3 })
  const note = (host: string, user?: string) =>
    refusals.note({ from: { host, port: 1 }, request: 'GET /x\u001b', reason: 'r', ...(user !== undefined && { user }) })
  for (let i = 0; i < 4; i++) note('192.0.2.1')
  for (let i = 0; i < 4; i++) note('192.0.2.2', 'bob')
  refusals.close()
  refusals.close()
  assert.deepEqual(
    events.map((event) => (event.type === 'admin' ? [event.action, event.object, event.after] : event.type)),
    ['login.refused', 'login.refused', ['access.refused', 'GET /x\\x1b', { reason: 'r' }], ['access.refused.more', 'http', { count: 5 }]],
  )
})
