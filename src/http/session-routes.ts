/** Sessions: the list, one of them, and what an admin does to one that runs. */
import { OpsError } from '../core/errors.js'
import type { Identity, SessionFilter, SessionSummary } from '../core/types.js'
import type { LiveSession } from '../session/registry.js'
import type { SessionDetail } from '../wire/api/sessions.js'
import { type ApiParts, type Handlers, mayCall } from './api-parts.js'
import { given } from './pages.js'
import { corrected, noteAct, seenSession } from './session-access.js'

type SessionHandlers = Required<Pick<Handlers, 'listSessions' | 'getSession' | 'lockSession' | 'unlockSession' | 'endSession' | 'reviewSession'>>

export function sessionHandlers(parts: ApiParts): SessionHandlers {
  const { search, registry, audience } = parts
  /** @throws OpsError NOT_FOUND */
  const running = (id: string): LiveSession => {
    const live = registry.find(id)
    if (!live) throw new OpsError('NOT_FOUND', `session "${id}" does not run`, { detail: 'no such session runs' })
    return live
  }
  const detail = (session: SessionSummary): SessionDetail => {
    const { target, review, pty, ...facts } = session
    const live = registry.find(session.id)
    const lock = live?.gate.locked
    const command = live?.session.command
    return {
      ...facts,
      ...(target && { target: { ...target } }),
      ...(review && { review: { ...review } }),
      ...(pty && { pty: { ...pty } }),
      ...(command !== undefined && { command }),
      ...(lock && { locked: { by: lock.by, at: lock.at.toISOString(), ...(lock.reason !== undefined && { reason: lock.reason }) } }),
      ...(live && { watchers: audience.watchers(session.id) }),
      hasRecording: session.recording !== undefined || live !== undefined,
    }
  }
  return {
    listSessions: async ({ query, identity }) => {
      const { type, ...rest } = query
      const filter: SessionFilter = { ...given(rest), ...(type !== undefined && { door: type }), ...ownOnly(identity, query.user) }
      const { items, next } = await search.sessions(filter)
      const now = items.map((session) => corrected(parts, session)).filter(({ state }) => filter.state === undefined || state === filter.state)
      return { items: now.map(detail), ...(next !== undefined && { next }) }
    },
    getSession: async ({ params, identity, request }) => detail(await seenSession(parts, identity, params.id, request.raw)),
    lockSession: async ({ params, body, identity, request }) => {
      const live = running(params.id)
      if (live.gate.locked) throw new OpsError('BAD_REQUEST', 'locked already', { detail: `locked already, by ${live.gate.locked.by}` })
      // held first, then told and kept: nothing is typed into the time that the log takes
      live.gate.lock({ by: identity.user, at: new Date(), ...(body?.reason !== undefined && { reason: body.reason }) })
      live.notify(`your input is held by ${identity.user}${body?.reason === undefined ? '' : `: ${shown(body.reason)}`}`)
      await noteAct(parts, identity, 'session.lock', params.id, {
        user: live.session.identity.user,
        ...(body?.reason !== undefined && { reason: body.reason }),
      })
      return detail(await seenSession(parts, identity, params.id, request.raw))
    },
    unlockSession: async ({ params, identity, request }) => {
      const live = running(params.id)
      if (!live.gate.locked) throw new OpsError('BAD_REQUEST', 'not locked', { detail: 'the session is not locked' })
      await noteAct(parts, identity, 'session.unlock', params.id, { user: live.session.identity.user })
      live.notify(`${identity.user} let your input go on`)
      live.gate.unlock()
      return detail(await seenSession(parts, identity, params.id, request.raw))
    },
    endSession: async ({ params, body, identity }) => {
      const live = running(params.id)
      const after = { user: live.session.identity.user, reason: body.reason }
      const reason = `by ${identity.user}: ${shown(body.reason)}`
      const end = (): void => live.end(new OpsError('SESSION_ENDED', `ended ${reason}`, { detail: reason }))
      try {
        await noteAct(parts, identity, 'session.end', params.id, after)
      } finally {
        // also while the log is away: the switch that stops somebody must not depend on it, and session.close tells the reason
        end()
      }
      return { done: true }
    },
    reviewSession: async ({ params, body, identity, request }) => {
      await seenSession(parts, identity, params.id, request.raw)
      const at = await noteAct(parts, identity, 'session.review', params.id, { note: body.note })
      return { by: identity.user, at, note: body.note }
    },
  }
}

/**
 * Users see their own sessions, whatever they ask for.
 * @throws OpsError POLICY_REFUSED when they ask for somebody else's by name
 */
export function ownOnly(identity: Identity, asked: string | undefined): { readonly user?: string } {
  if (mayCall(identity, 'auditor')) return asked === undefined ? {} : { user: asked }
  if (asked !== undefined && asked !== identity.user) {
    throw new OpsError('POLICY_REFUSED', `${identity.user} asked for "${asked}"`, { detail: 'you may see your own only' })
  }
  return { user: identity.user }
}

/** What an admin writes is printed on somebody's terminal. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ')
}
