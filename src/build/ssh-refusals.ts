/** What the SSH entrance refused by itself, in the words of the audit. */
import type { AuditEvent } from '../core/types.js'
import type { SshRefusal } from '../ssh/request.js'

export function refusalEvent(refusal: SshRefusal): AuditEvent {
  const { user, reason } = refusal
  const from = `${refusal.from.host}:${refusal.from.port}`
  if (refusal.kind === 'login') return { type: 'login.refused', user: refusal.user, from, method: refusal.method, reason }
  return { type: 'session.refused', ...(user !== undefined && { user }), from, reason: `${refusal.what}: ${reason}` }
}
