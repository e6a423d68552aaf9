/** Log in, refresh, log out, who am I. */
import { abortReason, OpsError } from '../core/errors.js'
import type { Identity, LoginAnswer } from '../core/types.js'
import type { LoginResult } from '../wire/api/login.js'
import type { ApiParts, Handlers } from './api-parts.js'
import { type IssuedToken, peerOf, requestText } from './authenticate.js'

type LoginHandlers = Required<Pick<Handlers, 'login' | 'refresh' | 'logout' | 'whoami'>>

export function loginHandlers({ auth, tokens, login, refusals }: ApiParts): LoginHandlers {
  return {
    login: async ({ body, request, reply }) => {
      // a page of another site must not log its visitor in as somebody else
      if (body.cookie) auth.refuseForeign(request.raw)
      const gone = new AbortController()
      const leave = (): void => gone.abort(new OpsError('CLIENT_GONE', 'the client left during its login'))
      reply.raw.once('close', leave)
      const attempt = { method: 'password', user: body.user, password: body.password, from: peerOf(request.raw) } as const
      const answer = await login.attempt(attempt, gone.signal).finally(() => reply.raw.off('close', leave))
      if (gone.signal.aborted) throw abortReason(gone.signal)
      const identity = accepted(answer)
      if (!body.cookie) return pairOf(identity, await tokens.begin(identity.user, ['access', 'refresh']))
      const { cookie } = await tokens.begin(identity.user, ['cookie'])
      reply.header('set-cookie', auth.cookie(cookie))
      return { user: identity.user, roles: [...identity.roles], ...timesOf(cookie) }
    },
    refresh: async ({ body, request }) => {
      const from = peerOf(request.raw)
      try {
        const { bearer, ...pair } = await tokens.refresh(body.refresh, from)
        return pairOf(bearer.identity, pair)
      } catch (error) {
        if (error instanceof OpsError) refusals.note({ from, request: requestText(request.raw), reason: error.message })
        throw error
      }
    },
    logout: async ({ bearer, reply }) => {
      await tokens.revoke(bearer)
      if (bearer.use === 'cookie') reply.header('set-cookie', auth.noCookie())
      return { done: true }
    },
    whoami: ({ identity, bearer }) => ({
      user: identity.user,
      groups: [...identity.groups],
      roles: [...identity.roles],
      via: bearer.use === 'cookie' ? 'cookie' : 'bearer',
      expiresAt: bearer.expiresAt.toISOString(),
    }),
  }
}

/** @throws OpsError AUTH_FAILED, AUTH_LOCKED, AUDIT_UNAVAILABLE */
function accepted(answer: LoginAnswer): Identity {
  if (answer.kind === 'accepted') return answer.identity
  throw new OpsError(answer.kind === 'refused' && answer.locked ? 'AUTH_LOCKED' : 'AUTH_FAILED', 'login refused')
}

function pairOf({ user, roles }: Identity, { access, refresh }: { readonly access: IssuedToken; readonly refresh: IssuedToken }): LoginResult {
  return {
    user,
    roles: [...roles],
    token: access.token,
    ...timesOf(access),
    refresh: refresh.token,
    refreshExpiresAt: refresh.expiresAt.toISOString(),
  }
}

function timesOf({ expiresAt }: IssuedToken): { expiresAt: string; expiresIn: number } {
  return { expiresAt: expiresAt.toISOString(), expiresIn: Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000)) }
}
