/** How much one SFTP session may hold; either side. */

/** Bytes of one packet after its length; OpenSSH's own limit (sftp-common.h, SFTP_MAX_MSG_LENGTH), so every client can take it. */
export const PACKET_BYTES = 256 * 1024
/** Bytes of file content in one READ or WRITE; what OpenSSH's server says at limits@openssh.com: the packet less 1 KiB. */
export const CONTENT_BYTES = PACKET_BYTES - 1024

/** Of one NAME packet to a peer of our own. */
export const EXACT_NAME_BYTES = 192 * 1024

export interface SftpLimits {
  /** Open files and directories. */
  readonly handles: number
  /** Requests that were read and whose answer is not yet flushed. */
  readonly requests: number
  /** Bytes of content that those requests may hold; at least one request is always let in. */
  readonly contentBytes: number
  /** Bytes of one NAME packet; the draft promises 34,000 to clients. Peers of our own take more. */
  readonly nameBytes: number
}
export const SFTP_LIMITS: SftpLimits = { handles: 1024, requests: 128, contentBytes: 4 * 1024 * 1024, nameBytes: 32 * 1024 }
