/** What a SPDY peer may make us hold or do. Exceeding one ends the connection with PROTOCOL_ERROR. */
import { OpsError } from '../../core/errors.js'

/** CVE-2026-35469 (spdystream) is what happens without the first four. */
export interface SpdyLimits {
  /** Bytes of one control frame; header blocks of exec streams are under 100. */
  readonly controlBytes: number
  /** Bytes of one data frame; they pass through in pieces, so this bounds nothing but nonsense. */
  readonly dataBytes: number
  /** Bytes of one header block after inflating. */
  readonly headerBytes: number
  /** Names in one header block. */
  readonly headerPairs: number
  /** Streams open at one time, both directions together. An exec has at most six. */
  readonly streams: number
  /** Streams a peer may open in the life of a connection, so that opening and resetting in a loop ends. */
  readonly streamsTotal: number
  /** Entries of one SETTINGS frame. */
  readonly settings: number
  /** PING, SETTINGS, HEADERS, RST_STREAM and unknown frames a second, on average; bursts may be twice that. kubectl pings every 5 s. */
  readonly controlPerSecond: number
  /** Bytes of answers that may wait for a peer which sends but does not read. */
  readonly backlogBytes: number
}

export const SPDY_LIMITS: SpdyLimits = {
  controlBytes: 64 * 1024,
  dataBytes: 16 * 1024 * 1024,
  headerBytes: 64 * 1024,
  headerPairs: 64,
  streams: 32,
  streamsTotal: 1024,
  settings: 32,
  controlPerSecond: 100,
  backlogBytes: 8 * 1024 * 1024,
}

/** The error of a peer that broke the protocol. @param reason what it did, no full stop */
export function spdyError(reason: string, cause?: unknown): OpsError {
  return new OpsError('PROTOCOL_ERROR', `SPDY: ${reason}`, cause === undefined ? {} : { cause })
}

/** A bucket of tokens: `perSecond` on average, twice that at once. */
export class RateLimit {
  readonly #perSecond: number
  #tokens: number
  #at: number

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#tokens = 2 * perSecond
    this.#at = nowMs
  }

  /** Takes one token; false when none is left. @param nowMs of a clock that never goes back */
  take(nowMs: number): boolean {
    this.#tokens = Math.min(2 * this.#perSecond, this.#tokens + ((nowMs - this.#at) * this.#perSecond) / 1000)
    this.#at = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
