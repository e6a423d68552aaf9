/** The SSH entrance: listener, admission, and the life of every connection. */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { ClientEnd, Login } from '../core/types.js'
import { Admission, type Guest } from './admission.js'
import { offeredAlgorithms } from './algorithms.js'
import { Connection } from './connection.js'
import { loadSsh2 } from './hardening/load.js'
import type { HostKey } from './host-keys.js'
import { DEFAULT_LIMITS, DEFAULT_TIMEOUTS, type SshLimits, type SshTimeouts } from './limits.js'
import { refuse } from './refuse.js'
import type { ChannelRequest, SshRefusal } from './request.js'
import { selfCheck } from './self-check.js'
import { DISCONNECT, type Ssh2Client, type Ssh2Library, type Ssh2Server } from './transport.js'

/** Says what answers, and no version of anything. */
const IDENT = 'DockinOps'
const DRAINING = 'this gateway is shutting down, connect again'
/** Limits of time are looked at this often, or more often when one is shorter. */
const SWEEP_MS = 1000
/** What close() gives sessions that have lost their client to put their things away. */
const CLOSE_MS = 10_000

export interface SshServerParts {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number }
  /** From loadHostKeys. */
  readonly hostKeys: readonly HostKey[]
  readonly login: Login
  /** Runs one session to its end; tells the client itself, through `client.finish`. Must not reject. */
  readonly open: (request: ChannelRequest, client: ClientEnd) => Promise<void>
  /** Told of what was refused outside of `login` and `open`. Must not throw. */
  readonly refused?: (refusal: SshRefusal) => void
  /** DEFAULT_LIMITS for what is absent. */
  readonly limits?: Partial<SshLimits>
  /** DEFAULT_TIMEOUTS for what is absent. */
  readonly timeouts?: Partial<SshTimeouts>
  /** Shown before login (RFC 4252 s5.4); whoever connects can read it. */
  readonly banner?: string
  readonly log: Logger
  /** The library that loadSsh2 made, when one is there already. */
  readonly library?: Ssh2Library
}
export interface SshServer {
  readonly address: { readonly host: string; readonly port: number }
  /** "SHA256:…" of each host key, by type. */
  readonly fingerprints: Readonly<Record<string, string>>
  stats(): { readonly connections: number; readonly channels: number }
  /**
   * Refuses new connections and channels with a text, and ends connections that have no channel.
   * Resolves once the last connection has gone of itself; close() does not wait for that.
   */
  drain(): Promise<void>
  /** Ends everything: each client is told, each session's `gone` is aborted and waited for, 10 s at most. May be called twice. */
  close(): Promise<void>
}

/**
 * @throws OpsError CONFIG_INVALID when the address cannot be listened on
 * @throws Error when ssh2 is not the version that was tested (hardening/)
 */
export async function startSshServer(parts: SshServerParts): Promise<SshServer> {
  const entrance = new Entrance(parts)
  await entrance.listen()
  return entrance
}

/** One accepted socket; `connection` from its identification line on. */
interface Arrival extends Guest {
  readonly id: string
  readonly socket: Socket
  readonly at: number
  connection?: Connection
}

class Entrance implements SshServer {
  readonly #parts: SshServerParts
  readonly #library: Ssh2Library
  readonly #limits: SshLimits
  readonly #timeouts: SshTimeouts
  readonly #admission: Admission
  readonly #listener: Server
  readonly #ssh2: Ssh2Server
  readonly #arrivals = new Map<Socket, Arrival>()
  readonly #sweeper: NodeJS.Timeout
  #draining = false
  #emptied: (() => void) | undefined
  #closed: Promise<void> | undefined

  constructor(parts: SshServerParts) {
    this.#parts = parts
    this.#limits = { ...DEFAULT_LIMITS, ...parts.limits }
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...parts.timeouts }
    this.#admission = new Admission(this.#limits)
    this.#library = parts.library ?? loadSsh2()
    for (const warning of selfCheck(this.#library).warnings) parts.log.warn({ warning }, 'ssh.selfcheck')
    this.#ssh2 = new this.#library.Server(
      {
        hostKeys: parts.hostKeys.map((key) => key.privateKey),
        ident: IDENT,
        algorithms: offeredAlgorithms(this.#library.bindingAvailable),
        keepaliveInterval: this.#timeouts.keepaliveMs,
        keepaliveCountMax: this.#timeouts.keepaliveCount,
        ...(parts.banner !== undefined && { banner: parts.banner }),
      },
      (client) => this.#identified(client),
    )
    // Small packets (an echoed key, a status) must not wait for an acknowledgement.
    this.#listener = createServer({ noDelay: true }, (socket) => this.#arrived(socket))
    const { unreadMs, unreadChannelMs, keyExchangeMs, rekeyMs } = this.#timeouts
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(10, Math.min(SWEEP_MS, unreadMs / 4, unreadChannelMs / 4, keyExchangeMs / 4, rekeyMs / 4)))
    this.#sweeper.unref()
  }

  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#listener.address() as AddressInfo
    return { host: address, port }
  }

  get fingerprints(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#parts.hostKeys.map((key) => [key.type, key.fingerprint]))
  }

  async listen(): Promise<void> {
    const { host, port } = this.#parts.listen
    await new Promise<void>((resolve, reject) => {
      this.#listener.once('error', (error) => {
        clearInterval(this.#sweeper)
        reject(new OpsError('CONFIG_INVALID', `Cannot listen for SSH on ${host}:${port}: ${error.message}`, { cause: error }))
      })
      this.#listener.listen({ host, port, backlog: 1024 }, resolve)
    })
    // Such as running out of file descriptors: the listener goes on.
    this.#listener.on('error', (error) => this.#parts.log.error({ error }, 'ssh.listener'))
  }

  stats(): { readonly connections: number; readonly channels: number } {
    let channels = 0
    for (const { connection } of this.#arrivals.values()) channels += connection?.channelCount ?? 0
    return { connections: this.#arrivals.size, channels }
  }

  drain(): Promise<void> {
    this.#draining = true
    for (const arrival of this.#arrivals.values()) this.#endIfIdle(arrival)
    if (this.#arrivals.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const before = this.#emptied
      this.#emptied = () => {
        before?.()
        resolve()
      }
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#draining = true
    clearInterval(this.#sweeper)
    const stopped = new Promise<void>((resolve) => this.#listener.close(() => resolve()))
    const sessions: Promise<void>[] = []
    for (const { connection, socket } of this.#arrivals.values()) {
      if (connection) sessions.push(...connection.sessions)
      if (connection) connection.end(DISCONNECT.byApplication, DRAINING)
      else socket.destroy()
    }
    await stopped
    const late = await settleWithin(sessions, CLOSE_MS)
    if (late) this.#parts.log.error({ sessions: late }, 'ssh.close.late')
  }

  #arrived(socket: Socket): void {
    const { remoteAddress: host, remotePort: port } = socket
    // Gone between accept and here.
    if (host === undefined || port === undefined) {
      socket.destroy()
      return
    }
    const refusal = this.#draining ? DRAINING : this.#admission.refusal(host)
    if (refusal) {
      this.#parts.log.info({ from: host, reason: refusal }, 'ssh.refused')
      refuse(socket, IDENT, refusal)
      return
    }
    const id = randomBytes(6).toString('hex')
    const arrival: Arrival = { id, socket, address: host, at: performance.now(), giveWay: () => this.#giveWay(arrival, 'another login needed its place') }
    this.#admission.enter(arrival)
    this.#arrivals.set(socket, arrival)
    const grace = setTimeout(() => this.#giveWay(arrival, 'the login took too long'), this.#timeouts.loginMs)
    socket.once('close', () => {
      clearTimeout(grace)
      this.#left(arrival)
    })
    this.#ssh2.injectSocket(socket)
  }

  /** ssh2 has read the identification line. */
  #identified(client: Ssh2Client): void {
    const arrival = this.#arrivals.get(client._sock)
    if (!arrival) {
      client._sock.destroy()
      return
    }
    const from = { host: arrival.address, port: arrival.socket.remotePort ?? 0 }
    const { login, open } = this.#parts
    arrival.connection = new Connection({
      id: arrival.id,
      client,
      from,
      library: this.#library,
      login,
      open,
      limits: this.#limits,
      timeouts: this.#timeouts,
      log: this.#parts.log.child({ connection: arrival.id, from: from.host }),
      refusal: () => (this.#draining ? DRAINING : undefined),
      refused: (refusal) => this.#parts.refused?.(refusal),
      loggedIn: () => this.#admission.loggedIn(arrival),
      channelsChanged: () => this.#draining && this.#endIfIdle(arrival),
    })
  }

  #giveWay(arrival: Arrival, why: string): void {
    if (arrival.connection?.authenticated) return
    if (arrival.connection) arrival.connection.end(DISCONNECT.byApplication, why)
    else arrival.socket.destroy()
    this.#admission.leave(arrival)
  }

  #left(arrival: Arrival): void {
    this.#arrivals.delete(arrival.socket)
    this.#admission.leave(arrival)
    const { connection, socket, at } = arrival
    this.#parts.log.info(
      {
        connection: arrival.id,
        from: arrival.address,
        user: connection?.user,
        reason: connection?.endReason ?? 'no SSH identification came',
        loggedIn: connection?.authenticated ?? false,
        bytesIn: socket.bytesRead,
        bytesOut: socket.bytesWritten,
        ms: Math.round(performance.now() - at),
      },
      'ssh.disconnected',
    )
    if (this.#arrivals.size === 0) this.#emptied?.()
  }

  /** While draining: a master connection without sessions would otherwise keep the gateway alive. */
  #endIfIdle({ connection, socket }: Arrival): void {
    if (!connection) socket.destroy()
    else if (connection.channelCount === 0) connection.end(DISCONNECT.byApplication, DRAINING)
  }

  #sweep(): void {
    const now = performance.now()
    for (const { connection } of this.#arrivals.values()) connection?.sweep(now)
  }
}

/** @returns how many had not settled in time */
async function settleWithin(sessions: readonly Promise<void>[], ms: number): Promise<number> {
  let left = sessions.length
  const all = Promise.allSettled(sessions.map((session) => session.finally(() => (left -= 1))))
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([all, late])
  clearTimeout(timer)
  return left
}
