/** This side of an scp conversation: the answers of one byte, the lines, and what is counted as gone wrong. */
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { FileError, type FilePath } from '../core/files.js'
import { escapePeerText } from '../core/log.js'
import { formatScpRecord, MAX_RECORD_BYTES, parseScpRecord, ScpError, type ScpRecord } from '../wire/scp-record.js'
import { LaneReader } from './lane-reader.js'
import { pathText } from './paths.js'

/** A peer's warnings are unbounded; beyond this many it is not a conversation. */
const MAX_WARNINGS = 100_000

export class ScpEnd {
  readonly input: LaneReader
  readonly #output: Writable
  #errors = 0

  constructor(input: Readable, output: Writable) {
    this.input = new LaneReader(input)
    this.#output = output
  }

  /** 1 when anything went wrong on either side, as scp itself exits. */
  get exitCode(): number {
    return this.#errors > 0 ? 1 : 0
  }

  async send(data: Buffer): Promise<void> {
    if (!this.#output.write(data)) await once(this.#output, 'drain')
  }
  sendRecord(record: ScpRecord): Promise<void> {
    return this.send(formatScpRecord(record))
  }
  ok(): Promise<void> {
    return this.send(Buffer.of(0))
  }

  /** Tells the peer what could not be done; both go on. */
  async warn(path: FilePath, error: unknown): Promise<void> {
    this.#errors += 1
    await this.sendRecord({ kind: 'warning', text: `scp: ${escapePeerText(pathText(path), 1024)}: ${reasonOf(error)}` })
  }

  /** The next record; undefined when the peer has ended. @throws ScpError also for a warning or error of the peer too many */
  async record(): Promise<ScpRecord | undefined> {
    const line = await this.input.line(MAX_RECORD_BYTES).catch(asProtocolError)
    return line && parseScpRecord(line)
  }

  /** The peer's answer to what was sent. @returns false for a warning @throws ScpError for an error, or when it has left */
  async answered(): Promise<boolean> {
    const byte = await this.input.byte()
    if (byte === 0) return true
    if (byte === undefined) throw new ScpError('lost connection')
    if (byte !== 1) throw new ScpError(byte === 2 ? 'the client gave up' : 'protocol error: not an answer of scp')
    await this.input.line(MAX_RECORD_BYTES).catch(asProtocolError)
    this.noteError()
    return false
  }

  noteError(): void {
    this.#errors += 1
    if (this.#errors > MAX_WARNINGS) throw new ScpError('too many errors')
  }
}

function asProtocolError(error: unknown): never {
  throw error instanceof RangeError ? new ScpError('protocol error: line too long') : error
}

/** In one line. @throws what is not about one file, such as a container that is gone: nothing can go on then */
export function reasonOf(error: unknown): string {
  if (error instanceof FileError && error.code !== 'CONNECTION_LOST') return error.message
  throw error
}
