/**
 * SPDY/3.1 frames (draft-mbelshe-httpbis-spdy-00 s2.2, 2.6; 3.1 adds flow control): bytes in, frames out, and back.
 *
 *   control  1 | version (15) | type (16)  / flags (8) | length (24) / payload
 *   data     0 | stream id (31)            / flags (8) | length (24) / payload
 */
import { SPDY_LIMITS, type SpdyLimits, spdyError } from './limits.js'

export const FLAG_FIN = 1
export const FLAG_UNIDIRECTIONAL = 2

/** Status codes of RST_STREAM, s2.6.3. Go peers also send 0, meaning nothing in particular. */
export const RST_STATUS = {
  PROTOCOL_ERROR: 1,
  INVALID_STREAM: 2,
  REFUSED_STREAM: 3,
  CANCEL: 5,
  INTERNAL_ERROR: 6,
  FLOW_CONTROL_ERROR: 7,
  STREAM_ALREADY_CLOSED: 9,
} as const

/** The setting that announces a receive window for each stream, in bytes (s2.6.4). */
export const SETTING_INITIAL_WINDOW = 7

const TYPE = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goaway: 7, headers: 8, windowUpdate: 9 } as const
const VERSION = 3
const HEADER_BYTES = 8
const EMPTY = Buffer.alloc(0)

export type ControlFrame =
  | { readonly type: 'synStream'; readonly id: number; readonly fin: boolean; readonly unidirectional: boolean; readonly block: Buffer }
  | { readonly type: 'synReply'; readonly id: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly type: 'headers'; readonly id: number; readonly fin: boolean; readonly block: Buffer }
  | { readonly type: 'rstStream'; readonly id: number; readonly status: number }
  | { readonly type: 'settings'; readonly entries: readonly { readonly id: number; readonly value: number }[] }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway'; readonly lastId: number; readonly status: number }
  | { readonly type: 'windowUpdate'; readonly id: number; readonly delta: number }
  | { readonly type: 'unknown'; readonly kind: number }

export interface FrameHandler {
  control(frame: ControlFrame): void
  /** A piece of a data frame, a view of the chunk it came in; `fin` only with the last piece. */
  data(id: number, payload: Buffer, fin: boolean): void
}

/**
 * Eats chunks cut anywhere and calls the handler for each frame. Data payloads pass through as views, whatever the
 * frame's length; a control frame is held until it is complete, at most `controlBytes`.
 */
export class FrameParser {
  readonly #handler: FrameHandler
  readonly #limits: SpdyLimits
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerFill = 0
  #first = 0
  #flags = 0
  /** Bytes of the current frame's payload still to come; -1 between frames. */
  #left = -1
  #control: Buffer | undefined

  constructor(handler: FrameHandler, limits: SpdyLimits = SPDY_LIMITS) {
    this.#handler = handler
    this.#limits = limits
  }

  /** True between frames: a connection that ends here ended cleanly. */
  get isIdle(): boolean {
    return this.#left < 0 && this.#headerFill === 0
  }

  /** @throws OpsError PROTOCOL_ERROR; the parser must not be used after that */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) at = this.#left < 0 ? this.#takeHeader(chunk, at) : this.#takePayload(chunk, at)
  }

  #takeHeader(chunk: Buffer, at: number): number {
    if (this.#headerFill === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#begin(chunk, at)
      return at + HEADER_BYTES
    }
    const n = Math.min(HEADER_BYTES - this.#headerFill, chunk.length - at)
    chunk.copy(this.#header, this.#headerFill, at, at + n)
    this.#headerFill += n
    if (this.#headerFill === HEADER_BYTES) {
      this.#headerFill = 0
      this.#begin(this.#header, 0)
    }
    return at + n
  }

  #begin(header: Buffer, at: number): void {
    this.#first = header.readUInt32BE(at)
    const second = header.readUInt32BE(at + 4)
    this.#flags = second >>> 24
    const length = second & 0xffffff
    this.#check(length)
    this.#left = length
    if (length === 0) this.#finish(EMPTY)
  }

  #check(length: number): void {
    if (!this.#isControl) {
      if (length > this.#limits.dataBytes) throw spdyError(`a data frame of ${length} bytes, limit ${this.#limits.dataBytes}`)
      if (this.#first === 0) throw spdyError('a data frame for stream 0')
      return
    }
    const version = (this.#first >>> 16) & 0x7fff
    if (version !== VERSION) throw spdyError(`a frame of version ${version}, not ${VERSION}`)
    if (length > this.#limits.controlBytes) throw spdyError(`a control frame of ${length} bytes, limit ${this.#limits.controlBytes}`)
  }

  get #isControl(): boolean {
    return this.#first >>> 31 === 1
  }

  #takePayload(chunk: Buffer, at: number): number {
    const n = Math.min(this.#left, chunk.length - at)
    const piece = n === chunk.length ? chunk : chunk.subarray(at, at + n)
    if (!this.#isControl) {
      this.#left -= n
      if (this.#left === 0) this.#finish(piece)
      else this.#handler.data(this.#first, piece, false)
    } else if (this.#control === undefined && n === this.#left) {
      this.#finish(piece)
    } else {
      this.#control ??= Buffer.allocUnsafe(this.#left)
      piece.copy(this.#control, this.#control.length - this.#left)
      this.#left -= n
      if (this.#left === 0) this.#finish(this.#control)
    }
    return at + n
  }

  #finish(payload: Buffer): void {
    this.#left = -1
    this.#control = undefined
    if (this.#isControl) this.#handler.control(parseControl(this.#first & 0xffff, this.#flags, payload, this.#limits))
    else this.#handler.data(this.#first, payload, (this.#flags & FLAG_FIN) !== 0)
  }
}

function parseControl(type: number, flags: number, payload: Buffer, limits: SpdyLimits): ControlFrame {
  const fin = (flags & FLAG_FIN) !== 0
  switch (type) {
    case TYPE.synStream:
      need(payload, 10, 'SYN_STREAM')
      return { type: 'synStream', id: id31(payload, 0), fin, unidirectional: (flags & FLAG_UNIDIRECTIONAL) !== 0, block: payload.subarray(10) }
    case TYPE.synReply:
      need(payload, 4, 'SYN_REPLY')
      return { type: 'synReply', id: id31(payload, 0), fin, block: payload.subarray(4) }
    case TYPE.headers:
      need(payload, 4, 'HEADERS')
      return { type: 'headers', id: id31(payload, 0), fin, block: payload.subarray(4) }
    case TYPE.rstStream:
      need(payload, 8, 'RST_STREAM')
      return { type: 'rstStream', id: id31(payload, 0), status: payload.readUInt32BE(4) }
    case TYPE.settings:
      return { type: 'settings', entries: parseSettings(payload, limits.settings) }
    case TYPE.ping:
      need(payload, 4, 'PING')
      return { type: 'ping', id: payload.readUInt32BE(0) }
    case TYPE.goaway:
      need(payload, 8, 'GOAWAY')
      return { type: 'goaway', lastId: id31(payload, 0), status: payload.readUInt32BE(4) }
    case TYPE.windowUpdate:
      need(payload, 8, 'WINDOW_UPDATE')
      return { type: 'windowUpdate', id: id31(payload, 0), delta: id31(payload, 4) }
    default:
      return { type: 'unknown', kind: type }
  }
}

function parseSettings(payload: Buffer, max: number): { id: number; value: number }[] {
  need(payload, 4, 'SETTINGS')
  const count = payload.readUInt32BE(0)
  if (count > max) throw spdyError(`SETTINGS with ${count} entries, limit ${max}`)
  need(payload, 4 + 8 * count, 'SETTINGS')
  return Array.from({ length: count }, (_, i) => ({ id: payload.readUInt32BE(4 + 8 * i) & 0xffffff, value: payload.readUInt32BE(8 + 8 * i) }))
}

function need(payload: Buffer, bytes: number, name: string): void {
  if (payload.length < bytes) throw spdyError(`${name} of ${payload.length} bytes, at least ${bytes} needed`)
}

function id31(payload: Buffer, at: number): number {
  return payload.readUInt32BE(at) & 0x7fffffff
}

/** The 8 bytes before a data payload of `length` bytes. */
export function dataHeader(id: number, fin: boolean, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt32BE(id, 0)
  header.writeUInt32BE((((fin ? FLAG_FIN : 0) << 24) | length) >>> 0, 4)
  return header
}

/** A whole control frame. */
export function controlFrame(frame: Exclude<ControlFrame, { type: 'unknown' }>): Buffer {
  switch (frame.type) {
    case 'synStream':
      return pack(TYPE.synStream, (frame.fin ? FLAG_FIN : 0) | (frame.unidirectional ? FLAG_UNIDIRECTIONAL : 0), [frame.id, 0], 2, frame.block)
    case 'synReply':
      return pack(TYPE.synReply, frame.fin ? FLAG_FIN : 0, [frame.id], 0, frame.block)
    case 'headers':
      return pack(TYPE.headers, frame.fin ? FLAG_FIN : 0, [frame.id], 0, frame.block)
    case 'rstStream':
      return pack(TYPE.rstStream, 0, [frame.id, frame.status])
    case 'settings':
      return pack(TYPE.settings, 0, [frame.entries.length, ...frame.entries.flatMap((entry) => [entry.id, entry.value])])
    case 'ping':
      return pack(TYPE.ping, 0, [frame.id])
    case 'goaway':
      return pack(TYPE.goaway, 0, [frame.lastId, frame.status])
    case 'windowUpdate':
      return pack(TYPE.windowUpdate, 0, [frame.id, frame.delta])
  }
}

/** @param pad zero bytes between the words and the block: SYN_STREAM has priority and slot there */
function pack(type: number, flags: number, words: readonly number[], pad = 0, block: Buffer = EMPTY): Buffer {
  const length = 4 * words.length + pad + block.length
  const frame = Buffer.alloc(HEADER_BYTES + length)
  frame.writeUInt32BE(((0x8000 | VERSION) * 0x10000 + type) >>> 0, 0)
  frame.writeUInt32BE(((flags << 24) | length) >>> 0, 4)
  words.forEach((word, i) => {
    frame.writeUInt32BE(word >>> 0, HEADER_BYTES + 4 * i)
  })
  block.copy(frame, HEADER_BYTES + 4 * words.length + pad)
  return frame
}
