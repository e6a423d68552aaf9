/** Turns a client away before any key is exchanged, and still tells it why. */
import type { Socket } from 'node:net'
import { DISCONNECT } from './transport.js'

const MESSAGE_DISCONNECT = 1
const BLOCK_BYTES = 8
const MIN_PADDING_BYTES = 4
/** Long enough for the text to arrive; unread input would make the kernel answer with a reset, which drops the text. */
const LINGER_MS = 2000

/**
 * Identification line and a plain SSH_MSG_DISCONNECT (RFC 4253 s6, s11.1): OpenSSH prints its text.
 * Costs no cryptography, so it is safe to answer a flood with.
 */
export function refusalBytes(ident: string, text: string): Buffer {
  const description = Buffer.from(text)
  const payload = Buffer.alloc(1 + 4 + 4 + description.length + 4)
  payload.writeUInt8(MESSAGE_DISCONNECT, 0)
  payload.writeUInt32BE(DISCONNECT.tooManyConnections, 1)
  payload.writeUInt32BE(description.length, 5)
  description.copy(payload, 9)
  const unpadded = 4 + 1 + payload.length
  const padding = MIN_PADDING_BYTES + ((BLOCK_BYTES - ((unpadded + MIN_PADDING_BYTES) % BLOCK_BYTES)) % BLOCK_BYTES)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + payload.length + padding, 0)
  head.writeUInt8(padding, 4)
  return Buffer.concat([Buffer.from(`SSH-2.0-${ident}\r\n`), head, payload, Buffer.alloc(padding)])
}

/** Sends the refusal and lets go of the socket. */
export function refuse(socket: Socket, ident: string, text: string): void {
  // A client that is gone already has nobody to tell.
  socket.on('error', () => socket.destroy())
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.resume()
  socket.end(refusalBytes(ident, text))
}
