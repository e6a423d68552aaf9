/** How much of everything one client, one address and all clients may have, and how long they may take. */

export interface SshLimits {
  /** Connections in all. */
  readonly connections: number
  /** Connections from one address; a NAT or a balancer in front makes many users one address. */
  readonly connectionsPerAddress: number
  /** Connections that have not logged in, in all; beyond it the oldest of the address with most of them gives way. */
  readonly logins: number
  /** Connections that have not logged in, from one address. */
  readonly loginsPerAddress: number
  /** Passwords and signatures that may be wrong on one connection. */
  readonly attempts: number
  /** Keys that a client may merely ask about on one connection: an agent offers all that it holds. */
  readonly keyQueries: number
  /** Channels open at one time on one connection (ControlMaster). */
  readonly channels: number
}
export const DEFAULT_LIMITS: SshLimits = {
  connections: 4000,
  connectionsPerAddress: 64,
  logins: 256,
  loginsPerAddress: 64,
  attempts: 6,
  keyQueries: 32,
  channels: 64,
}

export interface SshTimeouts {
  /** From the TCP connection to the login. */
  readonly loginMs: number
  /** A client is asked for a sign of life after this much silence… */
  readonly keepaliveMs: number
  /** …and is gone when it has left this many unanswered. */
  readonly keepaliveCount: number
  /** How long the socket may stay full before the connection is closed. */
  readonly unreadMs: number
  /** How long one channel's window may stay closed while output waits: a pager somebody left open is no attack. */
  readonly unreadChannelMs: number
  readonly rekeyMs: number
  /** Bytes both ways; RFC 4253 s9 suggests one GiB. */
  readonly rekeyBytes: number
  /** How long a client may take over a key exchange; our KEXINIT may wait behind output on a slow line. */
  readonly keyExchangeMs: number
}
export const DEFAULT_TIMEOUTS: SshTimeouts = {
  loginMs: 60_000,
  keepaliveMs: 15_000,
  keepaliveCount: 3,
  unreadMs: 600_000,
  unreadChannelMs: 3_600_000,
  rekeyMs: 3_600_000,
  rekeyBytes: 2 ** 30,
  keyExchangeMs: 120_000,
}
