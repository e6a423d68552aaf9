/**
 * SFTP over a descriptor by blocking calls, one request after another, as OpenSSH's own server does it. For a process that
 * does nothing else: nothing is allocated for bytes that only pass through, and no turn of an event loop lies between a
 * request and its answer. A peer that does not read is not read from, because the write to it blocks.
 */
import { readSync, writeSync, writevSync } from 'node:fs'
import { OpsError, toOpsError } from '../../src/core/errors.js'
import { type FileAccess, FileError } from '../../src/core/files.js'
import { greet } from '../../src/wire/sftp/greeting.js'
import { HandleTable } from '../../src/wire/sftp/handle-table.js'
import { EXACT_NAME_BYTES, PACKET_BYTES, SFTP_LIMITS } from '../../src/wire/sftp/limits.js'
import { type OperationContext, operate } from '../../src/wire/sftp/operations.js'
import { idOf, readRequest, type SftpResponse, writeResponse } from '../../src/wire/sftp/packets.js'
import { errorStatus, toFileError } from '../../src/wire/sftp/status.js'

const LENGTH_BYTES = 4
/** As PacketSplitter: peers may count the content without its header. */
const PACKET_BYTES_MAX = PACKET_BYTES + 16 * 1024
const BUFFER_BYTES = 1024 * 1024
/** Answers that may gather before they are written. */
const GATHER_BYTES = 64 * 1024
/** Content of this size is lent by the files until their next call: it must leave before that. */
const LENT_BYTES = 16 * 1024

/**
 * Serves until the peer ends its side; then closes what it left open. `files` is not closed.
 * @param fd a blocking stream socket
 * @param files must answer without the event loop; what its handles read may be used again at their next call
 * @throws OpsError PROTOCOL_ERROR for what is no SFTP; the error of the system when the peer has gone
 */
export async function serveBlocking(fd: number, files: FileAccess): Promise<void> {
  const handles = new HandleTable(SFTP_LIMITS.handles)
  try {
    await new BlockingServer(fd, { files, handles, limits: SFTP_LIMITS, isExact: false, signal: new AbortController().signal }).run()
  } finally {
    await handles.closeAll()
  }
}

class BlockingServer {
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  #start = 0
  #end = 0
  #context: OperationContext
  #isGreeted = false
  #answers: Buffer[] = []
  #answerBytes = 0

  constructor(fd: number, context: OperationContext) {
    this.#fd = fd
    this.#context = context
  }

  /** What was asked before the end, good or bad, is answered. */
  async run(): Promise<void> {
    try {
      do await this.#takeAll()
      while (this.#fill())
    } finally {
      this.#flush()
    }
  }

  async #takeAll(): Promise<void> {
    for (let packet = this.#next(); packet; packet = this.#next()) {
      // views into the buffer are good until it is filled again: each request is over before the next is looked at
      if (this.#isGreeted) await this.#answer(packet)
      else this.#greet(packet)
    }
    this.#flush()
  }

  /** A packet without its length; undefined when it has not come whole. */
  #next(): Buffer | undefined {
    const held = this.#end - this.#start
    if (held < LENGTH_BYTES) return undefined
    const length = this.#buffer.readUInt32BE(this.#start)
    if (length === 0 || length > PACKET_BYTES_MAX) throw broken(`a packet of ${length} bytes, of at most ${PACKET_BYTES_MAX}`)
    if (held < LENGTH_BYTES + length) return undefined
    const from = this.#start + LENGTH_BYTES
    this.#start = from + length
    return this.#buffer.subarray(from, from + length)
  }

  /** Waits for more; false at the end. */
  #fill(): boolean {
    if (this.#start === this.#end) {
      this.#start = 0
      this.#end = 0
    } else if (this.#start + LENGTH_BYTES + PACKET_BYTES_MAX > BUFFER_BYTES) {
      this.#buffer.copyWithin(0, this.#start, this.#end)
      this.#end -= this.#start
      this.#start = 0
    }
    const count = readSync(this.#fd, this.#buffer, this.#end, BUFFER_BYTES - this.#end, null)
    this.#end += count
    if (count === 0 && this.#start < this.#end) throw broken('the client ended within a packet')
    return count > 0
  }

  #greet(packet: Buffer): void {
    const { isExact, answer } = greet(packet)
    if (isExact) this.#context = { ...this.#context, isExact, limits: { ...this.#context.limits, nameBytes: EXACT_NAME_BYTES } }
    this.#isGreeted = true
    this.#send(answer)
  }

  async #answer(packet: Buffer): Promise<void> {
    const id = idOf(packet)
    if (id === undefined) throw broken('a packet without an id')
    this.#send(writeResponse(await this.#respond(packet, id)))
  }

  async #respond(packet: Buffer, id: number): Promise<SftpResponse> {
    try {
      const request = readRequest(packet)
      if (request.type === 'unknown') throw new FileError('UNSUPPORTED', 'Operation unsupported')
      return await operate(this.#context, request)
    } catch (error) {
      const failure = error instanceof OpsError ? new FileError('INVALID', toOpsError(error).message) : toFileError(error)
      return errorStatus(id, failure, this.#context.isExact)
    }
  }

  #send(parts: readonly Buffer[]): void {
    let isLent = false
    for (const part of parts) {
      this.#answers.push(part)
      this.#answerBytes += part.length
      isLent ||= part.length >= LENT_BYTES
    }
    if (isLent || this.#answerBytes >= GATHER_BYTES) this.#flush()
  }

  #flush(): void {
    if (this.#answerBytes === 0) return
    let left = this.#answers
    this.#answers = []
    this.#answerBytes = 0
    const [only] = left
    let written = left.length === 1 && only ? writeSync(this.#fd, only) : writevSync(this.#fd, left)
    // a blocking socket takes all, unless a signal comes between
    for (left = rest(left, written); left.length > 0; left = rest(left, written)) written = writevSync(this.#fd, left)
  }
}

/** What is left of `parts` behind the first `bytes`. */
function rest(parts: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes
  return parts.flatMap((part) => {
    const skipped = Math.min(skip, part.length)
    skip -= skipped
    return skipped === part.length ? [] : [part.subarray(skipped)]
  })
}

function broken(why: string): OpsError {
  return new OpsError('PROTOCOL_ERROR', `SFTP: ${why}`)
}
