/** The SFTP server, over the files of whatever back end. */
import type { Readable, Writable } from 'node:stream'
import { abortReason, OpsError, toOpsError } from '../../core/errors.js'
import { type FileAccess, FileError } from '../../core/files.js'
import { sftpError } from './fields.js'
import { greet } from './greeting.js'
import { HandleTable } from './handle-table.js'
import { EXACT_NAME_BYTES, SFTP_LIMITS, type SftpLimits } from './limits.js'
import { contentBytes, type OperationContext, operate, turnOf } from './operations.js'
import { PacketSplitter } from './packet-splitter.js'
import { idOf, readRequest, type SftpRequest, type SftpResponse, type SftpStream, type UnknownRequest, writeResponse } from './packets.js'
import { RequestOrder } from './request-order.js'
import { Room } from './room.js'
import { errorStatus, toFileError } from './status.js'

export interface SftpServerOptions {
  readonly limits?: Partial<SftpLimits>
}

/**
 * Serves until the client ends its side, then answers what it has asked, closes what it left open and ends `writable`.
 * Answers may come out of order; see RequestOrder for what runs side by side. When requests or their content are above the
 * limits, or the client does not read, nothing more is read from it.
 * `files` is not closed.
 * @param signal aborting ends it at once; the reason is rethrown
 * @throws OpsError PROTOCOL_ERROR for what is no SFTP, CLIENT_GONE when the stream broke. All handles are closed by then.
 */
export async function serveSftp(stream: SftpStream, files: FileAccess, options: SftpServerOptions, signal: AbortSignal): Promise<void> {
  await new SftpServer(stream, files, { ...SFTP_LIMITS, ...options.limits }, signal).run()
}

class SftpServer {
  readonly #readable: Readable
  readonly #writable: Writable
  readonly #splitter = new PacketSplitter()
  readonly #order = new RequestOrder()
  readonly #room: Room
  readonly #handles: HandleTable
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  #context: OperationContext
  #isGreeted = false
  #isCorked = false

  constructor({ readable, writable }: SftpStream, files: FileAccess, limits: SftpLimits, signal: AbortSignal) {
    this.#readable = readable
    this.#writable = writable
    this.#room = new Room(limits.requests, limits.contentBytes)
    this.#handles = new HandleTable(limits.handles)
    this.#signal = AbortSignal.any([signal, this.#stop.signal])
    this.#context = { files, handles: this.#handles, limits, isExact: false, signal: this.#signal }
  }

  async run(): Promise<void> {
    const gone = (error?: Error | null) => this.#stop.abort(new OpsError('CLIENT_GONE', `The SFTP client left${error ? `: ${error.message}` : ''}`))
    const onClose = () => gone()
    this.#readable.on('error', gone)
    this.#writable.on('error', gone).on('close', onClose)
    const cut = () => {
      this.#room.close(abortReason(this.#signal))
      this.#readable.destroy()
    }
    this.#signal.addEventListener('abort', cut, { once: true })
    try {
      if (this.#signal.aborted) cut()
      await this.#read()
      await this.#room.empty()
      this.#writable.off('close', onClose)
      this.#writable.end()
    } catch (error) {
      const reason = this.#signal.aborted ? abortReason(this.#signal) : toOpsError(error)
      this.#stop.abort(reason)
      this.#writable.destroy()
      throw reason
    } finally {
      this.#signal.removeEventListener('abort', cut)
      this.#readable.off('error', gone)
      this.#writable.off('close', onClose)
      // a destroyed stream may still say why
      this.#readable.on('error', () => {})
      this.#writable.off('error', gone).on('error', () => {})
      await this.#handles.closeAll()
    }
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#readable as AsyncIterable<Buffer>) {
      this.#splitter.push(chunk)
      for (let packet = this.#splitter.next(); packet; packet = this.#splitter.next()) {
        if (!this.#isGreeted) this.#greet(packet)
        else await this.#take(packet)
      }
    }
    if (this.#signal.aborted) throw abortReason(this.#signal)
    if (!this.#splitter.isIdle) throw sftpError('the client ended within a packet')
  }

  #greet(packet: Buffer): void {
    const { isExact, answer } = greet(packet)
    if (isExact) this.#context = { ...this.#context, isExact, limits: { ...this.#context.limits, nameBytes: EXACT_NAME_BYTES } }
    this.#isGreeted = true
    for (const part of answer) this.#writable.write(part)
  }

  /** Resolves once the next packet may be read. */
  async #take(packet: Buffer): Promise<void> {
    let request: SftpRequest | UnknownRequest
    try {
      request = readRequest(packet)
    } catch (error) {
      const id = idOf(packet)
      if (id === undefined) throw error
      await this.#room.take(packet.length)
      this.#send(errorStatus(id, new FileError('INVALID', toOpsError(error).message), this.#context.isExact), packet.length)
      return
    }
    const bytes = request.type === 'unknown' ? 512 : contentBytes(request, this.#context.limits)
    const wait = this.#room.take(bytes)
    if (wait) await wait
    void this.#answer(request, bytes)
  }

  /** Never rejects. */
  async #answer(request: SftpRequest | UnknownRequest, bytes: number): Promise<void> {
    try {
      if (request.type === 'unknown') throw new FileError('UNSUPPORTED', 'Operation unsupported')
      const response = await this.#order.run(turnOf(request, this.#handles), () => operate(this.#context, request))
      this.#send(response, bytes)
    } catch (error) {
      this.#send(errorStatus(request.id, toFileError(error), this.#context.isExact), bytes)
    }
  }

  /** The room of a request is free once its answer is flushed: a client that does not read is not read from. */
  #send(response: SftpResponse, bytes: number): void {
    if (this.#signal.aborted || this.#writable.destroyed) {
      this.#room.give(bytes)
      return
    }
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#writable.cork()
      setImmediate(() => {
        this.#isCorked = false
        this.#writable.uncork()
      })
    }
    const parts = writeResponse(response)
    const last = parts.length - 1
    parts.forEach((part, index) => {
      this.#writable.write(part, index === last ? () => this.#room.give(bytes) : undefined)
    })
  }
}
