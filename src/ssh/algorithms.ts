/** What is offered to clients. The client's order decides (RFC 4253 s7.1); ours is for those that follow the server. */
import { HYBRID_KEX_NAME } from './hardening/source-edits.js'
import type { Ssh2ServerConfig } from './transport.js'

/**
 * No SHA-1, no CBC, no compression (it would let one lane's secrets be guessed from sizes, and costs CPU).
 * Left out on purpose: diffie-hellman-group-exchange-sha256, which ssh2 offers but ends every connection that chooses it
 * ("Group exchange not implemented for server"); group18, whose 19 ms of one shared CPU anyone may ask for before login.
 * @param native whether ssh2's compiled cipher code is there; without it chacha20-poly1305 is too slow to offer
 */
export function offeredAlgorithms(native: boolean): Ssh2ServerConfig['algorithms'] {
  return {
    kex: [
      HYBRID_KEX_NAME,
      'curve25519-sha256',
      'curve25519-sha256@libssh.org',
      'ecdh-sha2-nistp256',
      'ecdh-sha2-nistp384',
      'ecdh-sha2-nistp521',
      'diffie-hellman-group16-sha512',
    ],
    cipher: [
      'aes128-gcm@openssh.com',
      'aes256-gcm@openssh.com',
      ...(native ? ['chacha20-poly1305@openssh.com'] : []),
      'aes128-ctr',
      'aes192-ctr',
      'aes256-ctr',
    ],
    hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
    compress: ['none'],
  }
}
