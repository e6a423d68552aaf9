/** The client's side of an SFTP stream: requests out, answers back to who asked. */
import { abortReason, OpsError, toOpsError } from '../../core/errors.js'
import { FileError } from '../../core/files.js'
import { PacketSplitter } from './packet-splitter.js'
import {
  EXACT_EXTENSION,
  readHello,
  readResponse,
  type SftpHello,
  type SftpRequest,
  type SftpResponse,
  type SftpStream,
  writeHello,
  writeRequest,
} from './packets.js'
import { STATUS, statusError } from './status.js'

type Distribute<Of> = Of extends SftpRequest ? Omit<Of, 'id'> : never
/** A request without its id. */
export type Wish = Distribute<SftpRequest>

interface Asked {
  readonly resolve: (response: SftpResponse) => void
  readonly reject: (error: FileError) => void
}
/** Of our own peers' NAME packets, with their slack. */
const RESPONSE_BYTES_MAX = 512 * 1024
/** Content of writes that were answered before the server answered them, of all files of a session. */
const BEHIND_BYTES_MAX = 2 * 1024 * 1024
const VERSION = 3

export class SftpExchange {
  readonly #stream: SftpStream
  readonly #splitter = new PacketSplitter(RESPONSE_BYTES_MAX)
  readonly #asked = new Map<number, Asked>()
  readonly #hello: Promise<SftpHello>
  #greet: { readonly resolve: (hello: SftpHello) => void; readonly reject: (error: FileError) => void } | undefined
  #nextId = 0
  #behindBytes = 0
  #isCorked = false
  #over: FileError | undefined

  /** Owns the stream from now on. */
  constructor(stream: SftpStream) {
    this.#stream = stream
    this.#hello = new Promise((resolve, reject) => {
      this.#greet = { resolve, reject }
    })
    this.#hello.catch(() => {}) // whoever calls hello() hears it
    const { readable, writable } = stream
    readable.on('data', (chunk: Buffer) => this.#onBytes(chunk))
    readable.on('end', () => this.end('the peer ended the connection'))
    for (const side of [readable, writable]) {
      side.on('error', (error) => this.end(error.message))
      side.on('close', () => this.end('the connection was closed'))
    }
  }

  /** Why nothing can be asked any more. */
  get over(): FileError | undefined {
    return this.#over
  }

  /** Says INIT and resolves at VERSION. @throws FileError CONNECTION_LOST, or the reason of `signal` */
  async hello(signal: AbortSignal): Promise<SftpHello> {
    const onAbort = () => this.#fail(new FileError('CONNECTION_LOST', abortReason(signal).message, { cause: abortReason(signal) }))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#write(writeHello({ type: 'init', version: VERSION, extensions: new Map([[EXACT_EXTENSION, '1']]) }))
      return await this.#hello
    } catch (error) {
      throw signal.aborted ? abortReason(signal) : error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** @returns any answer but an error @throws FileError */
  ask(wish: Wish): Promise<SftpResponse> {
    if (this.#over) return Promise.reject(this.#over)
    const id = this.#nextId
    this.#nextId = (id + 1) >>> 0
    const answer = new Promise<SftpResponse>((resolve, reject) => this.#asked.set(id, { resolve, reject }))
    this.#write(writeRequest({ ...wish, id } as SftpRequest))
    return answer
  }

  /**
   * For a writer that goes on before the answer: `mustWait` when too much is under way for that.
   * @param bytes that the request carries
   */
  askBehind(wish: Wish, bytes: number): { readonly answer: Promise<SftpResponse>; readonly mustWait: boolean } {
    const mustWait = this.#behindBytes + bytes > BEHIND_BYTES_MAX
    this.#behindBytes += bytes
    const answer = this.ask(wish)
    const done = () => {
      this.#behindBytes -= bytes
    }
    answer.then(done, done)
    return { answer, mustWait }
  }

  /** Ends the stream; who still waits hears CONNECTION_LOST. May be called twice. */
  end(why: string): void {
    this.#fail(new FileError('CONNECTION_LOST', `The connection to the files broke: ${why}`))
  }

  #fail(error: FileError): void {
    if (this.#over) return
    this.#over = error
    this.#greet?.reject(error)
    for (const { reject } of this.#asked.values()) reject(error)
    this.#asked.clear()
    this.#stream.readable.destroy()
    this.#stream.writable.destroy()
  }

  #onBytes(chunk: Buffer): void {
    if (this.#over) return
    try {
      this.#splitter.push(chunk)
      for (let packet = this.#splitter.next(); packet; packet = this.#splitter.next()) this.#onPacket(packet)
    } catch (error) {
      this.end(toOpsError(error).message)
    }
  }

  #onPacket(packet: Buffer): void {
    if (this.#greet) {
      const hello = readHello(packet, 'version')
      if (hello.version !== VERSION) throw new OpsError('PROTOCOL_ERROR', `SFTP: the peer speaks version ${hello.version}, not ${VERSION}`)
      this.#greet.resolve(hello)
      this.#greet = undefined
      return
    }
    const response = readResponse(packet)
    const asked = this.#asked.get(response.id)
    this.#asked.delete(response.id)
    if (response.type === 'status' && response.code !== STATUS.ok && response.code !== STATUS.eof) asked?.reject(statusError(response))
    else asked?.resolve(response)
  }

  #write(parts: readonly Buffer[]): void {
    const { writable } = this.#stream
    if (!this.#isCorked) {
      this.#isCorked = true
      writable.cork()
      process.nextTick(() => {
        this.#isCorked = false
        writable.uncork()
      })
    }
    for (const part of parts) writable.write(part)
  }
}
