/** The connection protocol of one client (RFC 4254): opens, requests, data and closes of its channels. */
import { OpsError } from '../core/errors.js'
import { escapePeerText, type Logger } from '../core/log.js'
import { Channel, type ChannelHost, MAX_PACKET_BYTES } from './channel.js'
import { clientGone } from './client-end.js'
import { classifyExec } from './door.js'
import { FIRST_WINDOW_BYTES } from './input-lane.js'
import type { Start } from './request.js'
import { type RawTerminal, type RawWindow, terminal, windowSize } from './terminal.js'
import { OPEN_FAILURE, type Ssh2Protocol } from './transport.js'

/** A packet smaller than this is no use to anyone, and one of 0 bytes could never be sent. */
const MIN_PACKET_BYTES = 256
const MAX_SIGNAL_CHARS = 32

export interface ChannelTableParts {
  readonly host: ChannelHost
  readonly maxChannels: number
  readonly log: Logger
  /** Why no channel may open now, such as a missing login or a gateway that drains. */
  refusal(): string | undefined
  /** Starts the session; the client has been told that its request was granted. */
  start(channel: Channel, start: Start): void
  /** Told once of each `what` ('direct-tcpip', 'tcpip-forward', …). */
  forwardingRefused(what: string, reason: string): void
  /** The client broke the protocol. */
  violated(what: string): void
  /** The number of channels has changed. */
  changed(count: number): void
}

interface OpenInfo {
  readonly type: string
  readonly sender: number
  readonly window: number
  readonly packetSize: number
}

const FORWARDING = 'this gateway does not forward ports, sockets, X11 or agents'
const OTHER_CHANNELS: Readonly<Record<string, string>> = {
  'direct-tcpip': FORWARDING,
  'direct-streamlocal@openssh.com': FORWARDING,
  'tun@openssh.com': FORWARDING,
}

/** Subsystem -> door. A protocol that gets an implementation gets a line here. */
const SUBSYSTEMS: Readonly<Record<string, Start['door']>> = { sftp: 'sftp' }

/** Channel request -> what it does; answers whether it is granted. RFC 4254 s6. */
type RequestHandler = (channel: Channel, data: unknown) => boolean

export class ChannelTable {
  readonly #parts: ChannelTableParts
  readonly #channels = new Map<number, Channel>()
  #noMoreSessions = false
  readonly #forwardingTold = new Set<string>()

  constructor(parts: ChannelTableParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#channels.size
  }
  get channels(): Iterable<Channel> {
    return this.#channels.values()
  }

  /** Takes the place of ssh2's own channel code on this connection. */
  install(protocol: Ssh2Protocol): void {
    const ignore = (): void => undefined
    Object.assign(protocol._handlers, {
      CHANNEL_OPEN: (_: Ssh2Protocol, info: OpenInfo) => this.#open(info),
      CHANNEL_REQUEST: (_: Ssh2Protocol, id: number, type: string, wantReply: boolean, data: unknown) => this.#request(id, type, wantReply, data),
      CHANNEL_DATA: (_: Ssh2Protocol, id: number, data: Buffer) => this.#data(id, data),
      CHANNEL_EXTENDED_DATA: (_: Ssh2Protocol, id: number, data: Buffer) => this.#extendedData(id, data),
      CHANNEL_WINDOW_ADJUST: (_: Ssh2Protocol, id: number, bytes: number) => this.#channels.get(id)?.openWindow(bytes),
      CHANNEL_EOF: (_: Ssh2Protocol, id: number) => this.#channels.get(id)?.receiveEof(),
      CHANNEL_CLOSE: (_: Ssh2Protocol, id: number) => this.#close(id),
      GLOBAL_REQUEST: (_: Ssh2Protocol, name: string, wantReply: boolean) => this.#globalRequest(name, wantReply),
      CHANNEL_OPEN_CONFIRMATION: ignore,
      CHANNEL_OPEN_FAILURE: ignore,
      CHANNEL_SUCCESS: ignore,
      CHANNEL_FAILURE: ignore,
    })
  }

  /** The connection is over, or must be. */
  leaveAll(reason: OpsError): void {
    for (const channel of this.#channels.values()) channel.leave(reason)
    this.#channels.clear()
    this.#parts.changed(0)
  }

  /** Cuts off channels whose output nobody has read since before `deadline`; `performance.now()`. */
  leaveUnread(deadline: number): void {
    for (const channel of this.#channels.values()) {
      if (channel.unreadSince === undefined || channel.unreadSince > deadline) continue
      this.#parts.log.warn({ channel: channel.numbers.local }, 'ssh.channel.unread')
      channel.leave(new OpsError('LIMIT_EXCEEDED', 'Channel closed: its output was not read for too long', { detail: 'output was not read' }))
    }
  }

  #open(info: OpenInfo): void {
    const refusal = this.#openRefusal(info)
    if (refusal) {
      this.#parts.log.info({ type: escapePeerText(info.type, 64), reason: refusal.text }, 'ssh.channel.refused')
      if (refusal.text === FORWARDING) this.#tellForwarding(info.type)
      this.#parts.host.send((protocol) => protocol.channelOpenFail(info.sender, refusal.code, refusal.text))
      return
    }
    let local = 0
    while (this.#channels.has(local)) local += 1
    this.#channels.set(local, new Channel({ local, remote: info.sender, window: info.window, maxPacketBytes: info.packetSize }, this.#parts.host))
    this.#parts.host.send((protocol) => protocol.channelOpenConfirm(info.sender, local, FIRST_WINDOW_BYTES, MAX_PACKET_BYTES))
    this.#parts.changed(this.#channels.size)
  }

  #openRefusal({ type, packetSize }: OpenInfo): { readonly code: number; readonly text: string } | undefined {
    const forwarding = OTHER_CHANNELS[type]
    if (forwarding) return { code: OPEN_FAILURE.prohibited, text: forwarding }
    if (type !== 'session') return { code: OPEN_FAILURE.unknownType, text: 'unknown channel type' }
    const now = this.#parts.refusal()
    if (now) return { code: OPEN_FAILURE.resourceShortage, text: now }
    if (this.#noMoreSessions) return { code: OPEN_FAILURE.prohibited, text: 'the client asked for no more sessions' }
    if (packetSize < MIN_PACKET_BYTES) return { code: OPEN_FAILURE.prohibited, text: `packets of ${packetSize} bytes are too small` }
    if (this.#channels.size >= this.#parts.maxChannels) {
      return { code: OPEN_FAILURE.resourceShortage, text: `${this.#parts.maxChannels} channels are open on this connection, which is the limit` }
    }
    return undefined
  }

  #data(id: number, data: Buffer): void {
    if (this.#channels.get(id)?.receive(data) === false) this.#parts.violated('more data than the window allowed')
  }

  /** No session defines extended data from a client; it is dropped, but it counts (RFC 4254 s5.2). */
  #extendedData(id: number, data: Buffer): void {
    if (this.#channels.get(id)?.client.stdin.spend(data.length) === false) this.#parts.violated('more data than the window allowed')
  }

  #close(id: number): void {
    const channel = this.#channels.get(id)
    if (!channel) return
    channel.receiveClose()
    if (!channel.over) return
    this.#channels.delete(id)
    this.#parts.changed(this.#channels.size)
  }

  #request(id: number, type: string, wantReply: boolean, data: unknown): void {
    const channel = this.#channels.get(id)
    if (!channel) return
    const handler = Object.hasOwn(REQUESTS, type) ? REQUESTS[type] : undefined
    const granted = handler?.(channel, data) ?? false
    if (!granted && wantReply) this.#parts.log.debug({ type: escapePeerText(type, 64) }, 'ssh.request.refused')
    // Also what nobody knows must be answered, and after the start too: PuTTY asks for winadj@ all along and counts the answers.
    if (wantReply)
      this.#parts.host.send((protocol) => (granted ? protocol.channelSuccess(channel.numbers.remote) : protocol.channelFailure(channel.numbers.remote)))
    if (granted && Object.hasOwn(STARTS, type)) this.#start(channel, type, data)
  }

  #start(channel: Channel, type: string, data: unknown): void {
    channel.start()
    const start = STARTS[type]?.(typeof data === 'string' ? data : '')
    if (start) this.#parts.start(channel, start)
  }

  #tellForwarding(what: string): void {
    if (this.#forwardingTold.has(what)) return
    this.#forwardingTold.add(what)
    this.#parts.forwardingRefused(what, FORWARDING)
  }

  /** Nothing may be forwarded, so every request but one is refused; keepalives expect just that (RFC 4254 s4). */
  #globalRequest(name: string, wantReply: boolean): void {
    const granted = name === 'no-more-sessions@openssh.com'
    if (granted) this.#noMoreSessions = true
    if (name === 'tcpip-forward' || name === 'streamlocal-forward@openssh.com') {
      this.#parts.log.info({ type: name, reason: FORWARDING }, 'ssh.request.refused')
      this.#tellForwarding(name)
    }
    if (wantReply) this.#parts.host.send((protocol) => (granted ? protocol.requestSuccess() : protocol.requestFailure()))
  }
}

/** What starts a program: the request's name -> what it asks for. */
const STARTS: Readonly<Record<string, (text: string) => Start | undefined>> = {
  shell: () => ({ door: 'shell' }),
  exec: (command) => ({ ...classifyExec(command), command }),
  subsystem: (name) => {
    const door = Object.hasOwn(SUBSYSTEMS, name) ? SUBSYSTEMS[name] : undefined
    return door && { door }
  },
}

const REQUESTS: Readonly<Record<string, RequestHandler>> = {
  'pty-req': (channel, data) => {
    if (channel.started) return false
    channel.setTerminal(terminal(data as RawTerminal))
    return true
  },
  env: (channel, data) => {
    const { name, value } = data as { readonly name: string; readonly value: string }
    return !channel.started && channel.environment.offer(name, value)
  },
  'window-change': (channel, data) => {
    const size = windowSize(data as RawWindow)
    // A size of 0 says nothing; RFC 4254 s6.2.
    if (size.columns > 0 && size.rows > 0) channel.client.resize(size)
    return true
  },
  signal: (channel, data) => {
    const name = String(data)
    if (!/^[A-Z][A-Z0-9]*$/.test(name) || name.length > MAX_SIGNAL_CHARS) return false
    channel.client.signal(name)
    return true
  },
  shell: (channel) => !channel.started,
  exec: (channel) => !channel.started,
  subsystem: (channel, data) => !channel.started && Object.hasOwn(SUBSYSTEMS, String(data)),
}

/** For the reason of `gone` when the connection itself ended. */
export function connectionGone(): OpsError {
  return clientGone('the connection to the client was lost')
}
