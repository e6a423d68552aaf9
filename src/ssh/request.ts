/** What a client asked for, once it is known who it is. */
import type { Identity, PeerAddress, PtyRequest } from '../core/types.js'

export interface ChannelRequest {
  readonly door: 'shell' | 'exec' | 'sftp' | 'scp' | 'rsync'
  readonly identity: Identity
  /** What stood after the first "+" of the login name; empty when no target was named. */
  readonly address: string
  /** The line of an exec request exactly as the client sent it (scp and rsync too). */
  readonly command?: string
  /** Doors scp and rsync: the words of `command`, quotes and backslashes taken away; no shell is needed to know them. */
  readonly words?: readonly string[]
  /** What the client set of LANG, LC_*, TZ and COLORTERM. */
  readonly env: Readonly<Record<string, string>>
  readonly pty?: PtyRequest
  /** One per TCP connection: sessions of a ControlMaster share it. */
  readonly connectionId: string
}

/**
 * What was refused before there was a session that could tell of it, for the audit. A client cannot flood it: attempts are
 * limited, and a connection tells of each kind of forwarding once.
 */
export type SshRefusal =
  | { readonly kind: 'login'; readonly from: PeerAddress; readonly user: string; readonly method: string; readonly reason: string }
  | { readonly kind: 'forwarding'; readonly from: PeerAddress; readonly user: string | undefined; readonly what: string; readonly reason: string }

/** The part that the channel itself says. */
export type Start = Pick<ChannelRequest, 'door' | 'command' | 'words'>
