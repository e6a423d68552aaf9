/** One client from its identification line on: login, channels, limits, and the one way it ends. */
import type { Socket } from 'node:net'
import { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { ClientEnd, Identity, Login, PeerAddress } from '../core/types.js'
import { Authentication, loginAborted } from './authentication.js'
import type { Channel } from './channel.js'
import { ChannelTable, connectionGone } from './channel-table.js'
import { Governor } from './governor.js'
import { WindowPool } from './input-lane.js'
import type { SshLimits, SshTimeouts } from './limits.js'
import { Rekey } from './rekey.js'
import type { ChannelRequest, SshRefusal, Start } from './request.js'
import { DISCONNECT, type Ssh2AuthContext, type Ssh2Client, type Ssh2Library, type Ssh2Protocol } from './transport.js'

/** Replies that ssh2 may hold back during one key exchange before the client is taken for a flood. */
const MAX_HELD_PACKETS = 4096
/** For the last packets, the reason among them. */
const LINGER_MS = 1000

export interface ConnectionParts {
  readonly id: string
  readonly client: Ssh2Client
  readonly from: PeerAddress
  readonly library: Pick<Ssh2Library, 'parseKey'>
  readonly login: Login
  readonly limits: SshLimits
  readonly timeouts: SshTimeouts
  readonly log: Logger
  readonly open: (request: ChannelRequest, client: ClientEnd) => Promise<void>
  /** Why no new channel may open, such as a drain. */
  refusal(): string | undefined
  /** Told of what was refused outside of `login` and `open`. */
  refused(refusal: SshRefusal): void
  loggedIn(): void
  /** The number of channels has changed. */
  channelsChanged(): void
}

export class Connection {
  readonly #parts: ConnectionParts
  readonly #socket: Socket
  readonly #protocol: Ssh2Protocol
  readonly #governor: Governor
  readonly #channels: ChannelTable
  readonly #rekey: Rekey
  readonly #loginAbort = new AbortController()
  readonly #sessions = new Set<Promise<void>>()
  #log: Logger
  #identity: Identity | undefined
  #address = ''
  /** Nothing may be written any more. */
  #over = false
  #endReason = 'the client disconnected'
  #exchanges = 0
  #exchangingSince: number | undefined

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.#log = parts.log
    this.#socket = parts.client._sock
    this.#protocol = parts.client._protocol
    const blocked = (): boolean => this.#over || this.#protocol._kexinit !== undefined
    this.#governor = new Governor({
      queuedBytes: () => this.#socket.writableLength,
      blocked,
      cork: () => this.#socket.cork(),
      uncork: () => this.#socket.uncork(),
    })
    this.#rekey = new Rekey(
      { totalBytes: () => this.#socket.bytesRead + this.#socket.bytesWritten, exchanging: blocked, rekey: () => this.#protocol.rekey() },
      parts.timeouts,
      performance.now(),
    )
    this.#channels = new ChannelTable({
      host: { governor: this.#governor, pool: new WindowPool(), send: (put) => this.#send(put) },
      maxChannels: parts.limits.channels,
      log: parts.log,
      refusal: () => (this.#identity ? parts.refusal() : 'not logged in'),
      start: (channel, start) => this.#start(channel, start),
      forwardingRefused: (what, reason) => parts.refused({ kind: 'forwarding', from: parts.from, user: this.#identity?.user, what, reason }),
      violated: (what) => this.end(DISCONNECT.protocolError, what),
      changed: () => parts.channelsChanged(),
    })
    this.#channels.install(this.#protocol)
    this.#listen()
  }

  get channelCount(): number {
    return this.#channels.size
  }
  get authenticated(): boolean {
    return this.#identity !== undefined
  }
  get endReason(): string {
    return this.#endReason
  }
  get user(): string | undefined {
    return this.#identity?.user
  }
  /** Sessions that have not returned. */
  get sessions(): Iterable<Promise<void>> {
    return this.#sessions
  }

  /** Tells the client why and lets go of everything. The first reason counts. */
  end(code: number, text: string): void {
    if (this.#over) return
    this.#endReason = text
    this.#leave(new OpsError(code === DISCONNECT.byApplication ? 'DRAINING' : 'CLIENT_GONE', `Connection ended: ${text}`), () =>
      this.#protocol.disconnect(code, text),
    )
    this.#letGo()
  }

  /** Looks at every limit of time; `performance.now()`. */
  sweep(now: number): void {
    if (this.#over) return
    const { unreadMs, unreadChannelMs, keyExchangeMs } = this.#parts.timeouts
    this.#exchangingSince = this.#protocol._kexinit === undefined ? undefined : (this.#exchangingSince ?? now)
    if (this.#governor.isFull() && now - (this.#governor.fullSince ?? now) >= unreadMs) {
      this.end(DISCONNECT.connectionLost, 'output was not read for too long')
    } else if (this.#identity && now - (this.#exchangingSince ?? now) >= keyExchangeMs) {
      this.end(DISCONNECT.keyExchangeFailed, 'the key exchange took too long')
    } else {
      this.#channels.leaveUnread(now - unreadChannelMs)
      if (this.#identity) this.#rekey.check(now)
    }
  }

  #listen(): void {
    const { client } = this.#parts
    const authentication = new Authentication({
      library: this.#parts.library,
      login: this.#parts.login,
      from: this.#parts.from,
      limits: this.#parts.limits,
      log: this.#log,
      signal: this.#loginAbort.signal,
      refused: (refusal) => this.#parts.refused({ kind: 'login', from: this.#parts.from, ...refusal }),
      accepted: (identity, address) => this.#accepted(identity, address),
      exhausted: (text) => this.end(DISCONNECT.noMoreAuthMethods, text),
    })
    client.on('authentication', (context: Ssh2AuthContext) => {
      // Never rejects; what it throws would be a mistake of ours, and nobody is logged in by it.
      authentication.answer(context).catch((error: unknown) => this.#log.error({ error }, 'ssh.login.failed'))
    })
    client.on('handshake', () => this.#exchanged())
    client.on('error', (error: Error & { level?: string }) => {
      if (!this.#over) this.#endReason = escapePeerText(error.message)
      this.#leave(connectionGone())
      if (error.level === 'client-timeout' || error.level === 'socket') this.#socket.destroy()
      else this.#letGo()
    })
    // SSH has no half-closed connection: a client that sends FIN is gone, whatever waits to be sent.
    client.on('end', () => this.#socket.destroy())
    client.on('close', () => this.#leave(connectionGone()))
    this.#socket.on('drain', () => this.#drained())
    this.#socket.on('data', () => this.#received())
  }

  #accepted(identity: Identity, address: string): void {
    this.#identity = identity
    this.#address = address
    this.#log = this.#log.child({ user: identity.user })
    this.#parts.loggedIn()
  }

  #exchanged(): void {
    this.#exchanges += 1
    this.#exchangingSince = undefined
    // Before login there is nothing worth new keys; each exchange costs us more than the client.
    if (this.#exchanges > 1 && !this.#identity) this.end(DISCONNECT.protocolError, 'keys were exchanged again before login')
    this.#rekey.completed(performance.now())
    this.#governor.pump()
  }

  /** Runs after ssh2 has handled the bytes. */
  #received(): void {
    if (this.#over) return
    // Replies are not governed: while the client does not take them, its requests are not read.
    if (this.#governor.isFull()) this.#socket.pause()
    if ((this.#protocol._queue?.length ?? 0) > MAX_HELD_PACKETS) this.end(DISCONNECT.protocolError, 'too many requests during a key exchange')
    if (this.#identity) this.#rekey.check(performance.now())
  }

  #drained(): void {
    this.#governor.drained()
    if (this.#socket.isPaused()) this.#socket.resume()
    if (this.#identity && !this.#over) this.#rekey.check(performance.now())
  }

  #start(channel: Channel, start: Start): void {
    if (!this.#identity) return
    const request: ChannelRequest = {
      ...start,
      identity: this.#identity,
      address: this.#address,
      env: channel.environment.values,
      connectionId: this.#parts.id,
      ...(channel.pty && { pty: channel.pty }),
    }
    const session = this.#run(request, channel).finally(() => this.#sessions.delete(session))
    this.#sessions.add(session)
  }

  /** The session tells the client how it ended; one that forgot, or threw against its promise, ends with 255. */
  async #run(request: ChannelRequest, { client, numbers }: Channel): Promise<void> {
    try {
      await this.#parts.open(request, client)
      if (!client.finishing && !client.gone.aborted) this.#log.error({ channel: numbers.local, door: request.door }, 'ssh.session.unfinished')
    } catch (error) {
      this.#log.error({ channel: numbers.local, door: request.door, error }, 'ssh.session.threw')
    }
    client.finish({ kind: 'exited', code: 255 })
  }

  /** @param farewell the last packet; without it the connection is broken and nothing is written */
  #leave(reason: OpsError, farewell?: () => void): void {
    if (this.#over) return
    // Before the channels are let go: OpenSSH leaves at the first close it reads, and would never print the reason.
    farewell?.()
    this.#over = true
    this.#channels.leaveAll(reason)
    this.#loginAbort.abort(loginAborted(this.#endReason))
  }

  /** Lets the last packets go, but not for long: for a client that is gone or does not read they would wait for ever. */
  #letGo(): void {
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  #send(put: (protocol: Ssh2Protocol) => void): void {
    if (!this.#over) put(this.#protocol)
  }
}
