/** One session channel (RFC 4254 s6): what was asked before its program starts, then its lanes, then its end. */

import type { OpsError } from '../core/errors.js'
import type { ExitStatus, PtyRequest } from '../core/types.js'
import { exitCode } from '../session/status.js'
import { ChannelClientEnd, clientGone } from './client-end.js'
import { Environment } from './environment.js'
import type { Governor } from './governor.js'
import { InputLane, type WindowPool } from './input-lane.js'
import { OutputLane, OutputWindow } from './output-lane.js'
import type { Ssh2Protocol } from './transport.js'

const STDERR = 1
/** As OpenSSH; a client may name less. */
export const MAX_PACKET_BYTES = 32 * 1024

/** RFC 4254 s6.10; ssh2 throws for any other. */
const SENDABLE_SIGNALS = new Set(['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'])

export interface ChannelNumbers {
  readonly local: number
  readonly remote: number
  /** The client's first window and largest packet, in bytes. */
  readonly window: number
  readonly maxPacketBytes: number
}
/** The connection as a channel sees it. */
export interface ChannelHost {
  readonly governor: Governor
  readonly pool: WindowPool
  /** Runs `put` unless the connection is over. */
  send(put: (protocol: Ssh2Protocol) => void): void
}

export class Channel {
  readonly numbers: ChannelNumbers
  readonly environment = new Environment()
  readonly client: ChannelClientEnd
  readonly #host: ChannelHost
  readonly #window: OutputWindow
  #pty: PtyRequest | undefined
  #started = false
  #eofSent = false
  #closeSent = false
  #closeReceived = false

  constructor(numbers: ChannelNumbers, host: ChannelHost) {
    this.numbers = numbers
    this.#host = host
    this.#window = new OutputWindow(numbers.window)
    const { remote } = numbers
    const packet = Math.min(numbers.maxPacketBytes, MAX_PACKET_BYTES)
    const lane = (put: (protocol: Ssh2Protocol, data: Buffer) => void) =>
      new OutputLane(host.governor, this.#window, packet, (data) => host.send((protocol) => put(protocol, data)))
    this.client = new ChannelClientEnd(
      {
        stdin: new InputLane(host.pool, (bytes) => this.#send((protocol) => protocol.channelWindowAdjust(remote, bytes))),
        stdout: lane((protocol, data) => protocol.channelData(remote, data)),
        stderr: lane((protocol, data) => protocol.channelExtData(remote, data, STDERR)),
      },
      { end: (status) => this.#end(status) },
    )
  }

  get started(): boolean {
    return this.#started
  }
  get pty(): PtyRequest | undefined {
    return this.#pty
  }
  /** Since when output waits for the client's window; undefined when none does. */
  get unreadSince(): number | undefined {
    return this.#window.closedSince
  }
  /** Both sides have closed: the number may be used again. */
  get over(): boolean {
    return this.#closeSent && this.#closeReceived
  }

  setTerminal(pty: PtyRequest): void {
    this.#pty = pty
  }
  start(): void {
    this.#started = true
  }

  /** @returns false when the client sent more than its window */
  receive(data: Buffer): boolean {
    return this.client.stdin.accept(data)
  }
  receiveEof(): void {
    this.client.stdin.finish()
  }
  openWindow(bytes: number): void {
    this.#window.open(bytes)
    this.client.stdout.wake()
    this.client.stderr.wake()
  }

  /** The client closed its side: unless the session had finished, it has left. */
  receiveClose(): void {
    if (this.#closeReceived) return
    this.#closeReceived = true
    this.#close()
    if (this.#eofSent) this.client.release()
    else this.client.leave(clientGone('the client closed the channel'))
  }

  /** Cuts the client off: connection lost, limit reached, gateway closing. */
  leave(reason: OpsError): void {
    this.#close()
    this.client.leave(reason)
  }

  #end(status: ExitStatus): void {
    const { remote } = this.numbers
    if (this.#closeSent) return
    // Both: OpenSSH 9.2 knows only the status and would answer 255 without it; PuTTY and libraries also show the signal.
    // The status last: plink 0.78 takes the later of the two, and makes 128 of any signal.
    if (status.kind === 'signaled' && SENDABLE_SIGNALS.has(status.signal)) {
      this.#send((protocol) => protocol.exitSignal(remote, status.signal, status.coreDumped, ''))
    }
    this.#send((protocol) => protocol.exitStatus(remote, exitCode(status)))
    this.#eofSent = true
    this.#send((protocol) => protocol.channelEOF(remote))
    this.#close()
  }

  #close(): void {
    if (this.#closeSent) return
    this.#send((protocol) => protocol.channelClose(this.numbers.remote))
    this.#closeSent = true
  }

  /** Nothing may follow our close (RFC 4254 s5.3). */
  #send(put: (protocol: Ssh2Protocol) => void): void {
    if (!this.#closeSent) this.#host.send(put)
  }
}
