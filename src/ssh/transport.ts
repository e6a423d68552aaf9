/**
 * The part of ssh2 that we use, by shape: its transport layer (RFC 4253), its login messages (RFC 4252) and its packet codecs.
 * The connection protocol (RFC 4254: channels, windows, requests) is ours (connection.ts), because ssh2's channel loses
 * back-pressure, repeats output when both lanes were blocked, accepts data beyond the window and cannot be destroyed.
 * Names with an underscore are private to ssh2; hardening/ refuses to start with sources other than those that were read.
 */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { Client } from 'ssh2'

export interface Ssh2Library {
  readonly Server: new (config: Ssh2ServerConfig, listener: (client: Ssh2Client) => void) => Ssh2Server
  /** The client of the same, changed, library: for tests of what only it speaks here. */
  readonly Client: typeof Client
  parseKey(data: string | Buffer): ParsedKey | ParsedKey[] | Error
  /** False when the native cipher code could not be loaded; chacha20-poly1305 is then slow. */
  readonly bindingAvailable: boolean
}
export interface ParsedKey {
  readonly type: string
  readonly comment: string
  /** Wire form, RFC 4253 s6.6. */
  getPublicSSH(): Buffer
  /** PEM, or null for a public key. */
  getPrivatePEM(): string | null
  /** @returns an Error instead of throwing one */
  verify(data: Buffer, signature: Buffer, hash?: string): boolean | Error
}
export interface Ssh2ServerConfig {
  readonly hostKeys: readonly string[]
  readonly ident: string
  readonly banner?: string
  readonly algorithms: {
    readonly kex: readonly string[]
    readonly cipher: readonly string[]
    readonly hmac: readonly string[]
    readonly compress: readonly string[]
  }
  readonly keepaliveInterval: number
  readonly keepaliveCountMax: number
}
export interface Ssh2Server extends EventEmitter {
  /** Treats `socket` as accepted; the server itself never listens. */
  injectSocket(socket: Socket): void
}

/** One connection, from its identification line on. */
export interface Ssh2Client extends EventEmitter {
  readonly authenticated: boolean
  readonly _sock: Socket
  readonly _protocol: Ssh2Protocol
}

/** ssh2's packet writer and the state that tells whether keys are being exchanged. */
export interface Ssh2Protocol {
  /** Message name -> what the connection does about it; a plain object of this connection. */
  readonly _handlers: Record<string, unknown>
  /** Our KEXINIT while keys are exchanged; packets are queued meanwhile. */
  readonly _kexinit: Buffer | undefined
  readonly _queue: readonly Buffer[] | undefined
  disconnect(reason: number, text?: string): void
  rekey(): void
  requestSuccess(): void
  requestFailure(): void
  channelOpenConfirm(remote: number, local: number, window: number, maxPacket: number): void
  channelOpenFail(remote: number, reason: number, text: string): void
  channelSuccess(remote: number): void
  channelFailure(remote: number): void
  channelData(remote: number, data: Buffer): void
  channelExtData(remote: number, data: Buffer, type: number): void
  channelWindowAdjust(remote: number, bytes: number): void
  channelEOF(remote: number): void
  channelClose(remote: number): void
  exitStatus(remote: number, status: number): void
  /** @throws Error for a name outside RFC 4254 s6.10 */
  exitSignal(remote: number, name: string, coreDumped: boolean, text: string): void
}

/** One login request (server.js, AuthContext). */
export interface Ssh2AuthContext {
  readonly method: string
  readonly username: string
  readonly password?: unknown
  /** `algo` is "ssh-rsa" for every RSA signature; `hashAlgo` tells which. */
  readonly key?: { algo: string; readonly data: Buffer }
  readonly hashAlgo?: string
  readonly signature?: Buffer
  readonly blob?: Buffer
  /** For a key without signature this only says that the key would do. */
  accept(): void
  reject(methodsLeft: readonly string[]): void
}

/** RFC 4253 s11.1. */
export const DISCONNECT = {
  protocolError: 2,
  keyExchangeFailed: 3,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
  noMoreAuthMethods: 14,
} as const
/** RFC 4254 s5.1. */
export const OPEN_FAILURE = { prohibited: 1, connectFailed: 2, unknownType: 3, resourceShortage: 4 } as const
