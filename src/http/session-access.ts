/** Which sessions somebody may look at, and the event that says that they did. */
import type { IncomingMessage } from 'node:http'
import { OpsError } from '../core/errors.js'
import type { Identity, SessionSummary } from '../core/types.js'
import { LOST } from '../wire/session-summary.js'
import { type ApiParts, mayCall } from './api-parts.js'
import { requestText } from './authenticate.js'

type Parts = Pick<ApiParts, 'search' | 'registry' | 'refusals' | 'audit'>

/**
 * A session as the log tells it, with what is known of it while it runs.
 * @throws OpsError NOT_FOUND also for a session of somebody else, whose id is nobody's business; that one is an event
 */
export async function seenSession(parts: Parts, identity: Identity, id: string, request: IncomingMessage): Promise<SessionSummary> {
  const session = await parts.search.session(id)
  if (session && (session.user === identity.user || mayCall(identity, 'auditor'))) return corrected(parts, session)
  if (session) parts.refusals.note({ from: identity.from, request: requestText(request), reason: 'a session of somebody else', user: identity.user })
  throw new OpsError('NOT_FOUND', `no session "${id}"`, { detail: 'no such session' })
}

/** The log tells that a session was opened; only the registry, that it runs. One that the gateway did not survive has ended. */
export function corrected({ registry }: Pick<Parts, 'registry'>, session: SessionSummary): SessionSummary {
  if (session.state !== 'live') return session
  const live = registry.find(session.id)
  if (!live) return { ...session, state: 'ended', reason: session.reason ?? LOST }
  const bytes = live.bytes()
  const via = live.via()
  return { ...session, bytesIn: bytes.in, bytesOut: bytes.out, ...(via !== undefined && { via }) }
}

/**
 * Says in the log that somebody looked, or acted. The event names the session, and `user` is who did it.
 * @throws OpsError AUDIT_UNAVAILABLE: what cannot be kept is not done
 */
export async function noteAct(parts: Pick<Parts, 'audit'>, identity: Identity, action: string, session: string, after?: object): Promise<string> {
  const { user, from } = identity
  const facts = { type: 'admin', action, object: session, session, user, from: `${from.host}:${from.port}` } as const
  const { time } = await parts.audit.write(after === undefined ? facts : { ...facts, after })
  return time
}
