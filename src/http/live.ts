/** Watching a running session over a WebSocket: each message is one line of asciicast v2, as stage/audience.ts makes them. */
import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type { FastifyInstance } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import { OpsError } from '../core/errors.js'
import { SESSION_ID } from '../wire/api/common.js'
import type { ApiParts } from './api-parts.js'
import type { Bearer } from './authenticate.js'
import { noteAct, seenSession } from './session-access.js'
import type { UpgradeEntry } from './ws-upgrades.js'

type Parts = Pick<ApiParts, 'auth' | 'tokens' | 'search' | 'registry' | 'refusals' | 'audit' | 'audience' | 'log'>

const PATH = /^\/api\/v1\/sessions\/([^/?]+)\/live(?:\?|$)/
const PING_MS = 15_000
/** A watcher sends nothing. */
const MAX_MESSAGE_BYTES = 1024
const SEND_BUFFER_BYTES = 128 * 1024
/** How long a close waits for the peers to say theirs. */
const CLOSE_MS = 500
/** Views of one person at once; each costs its session little and the gateway a socket. */
const MAX_PER_USER = 32
/** RFC 6455 s7.4: 1000 the session has ended, 1001 the gateway stops, 4401 the login has ended (4000 and up are an application's own). */
const ENDED = 1000
const GOING_AWAY = 1001
const LOGIN_ENDED = 4401

export interface LiveViews {
  readonly entry: UpgradeEntry
  /** Says goodbye to every watcher before the server closes. */
  readonly route: (app: FastifyInstance) => void
}

export function liveViews(parts: Parts): LiveViews {
  const server = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false })
  const views = new Map<WebSocket, string>()
  const entry: UpgradeEntry = {
    wants: ({ url = '', headers, method }) => method === 'GET' && /^websocket$/i.test(headers.upgrade ?? '') && PATH.test(url),
    serve: async (request, socket, head) => {
      const bearer = await parts.auth.bearer(request)
      const { identity } = bearer
      const id = idOf(request)
      const session = await seenSession(parts, identity, id, request)
      if (!parts.registry.find(id)) throw new OpsError('NOT_FOUND', `session "${id}" does not run`, { detail: 'the session does not run' })
      const own = [...views.values()].filter((user) => user === identity.user).length
      if (own >= MAX_PER_USER) throw new OpsError('LIMIT_EXCEEDED', `${identity.user} watches ${own} sessions`, { detail: 'you watch too many sessions' })
      await noteAct(parts, identity, 'session.watch', id, { user: session.user })
      const cast = parts.audience.join(id)
      const webSocket = await accepted(server, request, socket, head).catch((error: unknown) => {
        cast.destroy()
        throw error
      })
      views.set(webSocket, identity.user)
      try {
        await show(webSocket, cast, parts, bearer)
      } finally {
        views.delete(webSocket)
        cast.destroy()
      }
    },
  }
  const route = (app: FastifyInstance): void => {
    app.addHook('preClose', async () => {
      await Promise.all([...views.keys()].map((each) => goodbye(each)))
    })
  }
  return { entry, route }
}

/** Lines as they come, until session, login or watcher end. A watcher that reads slowly is the audience's to drop. */
async function show(socket: WebSocket, cast: Readable, { tokens, log }: Parts, bearer: Bearer): Promise<void> {
  let isAlive = true
  socket.on('pong', () => {
    isAlive = true
  })
  socket.on('error', (error) => log.debug({ error: error.message }, 'live.socket'))
  socket.on('close', () => cast.destroy())
  const timer = setInterval(() => {
    if (!tokens.holds(bearer)) socket.close(LOGIN_ENDED, 'your login has ended')
    else if (!isAlive) socket.terminate()
    isAlive = false
    if (socket.readyState === socket.OPEN) socket.ping()
  }, PING_MS).unref()
  try {
    for await (const line of linesOf(cast)) await sent(socket, line)
    if (socket.readyState === socket.OPEN) socket.close(ENDED, 'the session has ended')
  } catch (error) {
    // the watcher has left: its close destroyed the view under the loop
    if (socket.readyState === socket.OPEN) throw error
  } finally {
    clearInterval(timer)
  }
}

async function* linesOf(cast: Readable): AsyncGenerator<string> {
  const text = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of cast as AsyncIterable<Buffer | string>) {
    const parts = (rest + (typeof chunk === 'string' ? chunk : text.write(chunk))).split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
  if (rest !== '') yield rest
}

function sent(socket: WebSocket, line: string): Promise<void> | undefined {
  if (socket.readyState !== socket.OPEN) return undefined
  if (socket.bufferedAmount < SEND_BUFFER_BYTES) {
    socket.send(line)
    return undefined
  }
  return new Promise((resolve) => socket.send(line, () => resolve()))
}

/** Answers 101. Rejects for a request that ws refuses: it has then written 400 and ended the socket. */
function accepted(server: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(new OpsError('BAD_REQUEST', 'the WebSocket handshake failed'))
    socket.once('close', onClose)
    server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('close', onClose)
      resolve(webSocket)
    })
  })
}

function goodbye(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.terminate(), CLOSE_MS)
    socket.once('close', () => {
      clearTimeout(late)
      resolve()
    })
    socket.close(GOING_AWAY, 'this gateway is shutting down')
  })
}

/** @throws OpsError BAD_REQUEST */
function idOf({ url = '' }: IncomingMessage): string {
  const id = PATH.exec(url)?.[1] ?? ''
  if (!SESSION_ID.test(id)) throw new OpsError('BAD_REQUEST', 'not a session id', { detail: 'not a session id' })
  return id
}
