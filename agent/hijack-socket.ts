/**
 * A socket to the docker daemon that keeps what it has received when it can no longer send.
 *
 * When a program ends, the daemon closes the connection, with input still under way if the client was sending some. A
 * write then fails with EPIPE, and a read after the last byte gives ECONNRESET instead of end-of-file (unix(7): the
 * peer closed with data unread). Node's Socket answers either by destroying itself, and up to 200 KiB of the program's
 * last output are lost in the kernel when the reader is slow. Here input that nobody will read is dropped, and a reset
 * counts as the end.
 */
import { Agent } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

const PEER_CLOSED = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN', 'ESHUTDOWN'])

function isPeerClosed(error: Error | null | undefined): boolean {
  return error != null && PEER_CLOSED.has((error as NodeJS.ErrnoException).code ?? '')
}

type WriteDone = (error?: Error | null) => void

export class HijackSocket extends Socket {
  #hijacked = false
  #inputClosed = false

  /** From here on the socket carries a program's streams, not HTTP. */
  hijack(): void {
    this.#hijacked = true
  }

  override _write(chunk: unknown, encoding: BufferEncoding, done: WriteDone): void {
    if (this.#inputClosed) done()
    else super._write(chunk, encoding, (error) => this.#sent(error, done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: WriteDone): void {
    if (this.#inputClosed) done()
    else super._writev?.(chunks, (error) => this.#sent(error, done))
  }

  override destroy(error?: Error): this {
    if (this.#hijacked && isPeerClosed(error) && !this.readableEnded && !this.destroyed) {
      this.#inputClosed = true
      this.push(null)
      return this
    }
    return super.destroy(error)
  }

  #sent(error: Error | null | undefined, done: WriteDone): void {
    const dropped = this.#hijacked && isPeerClosed(error)
    if (dropped) this.#inputClosed = true
    done(dropped ? undefined : error)
  }
}

/** Keeps connections to the daemon open between requests; makes them as HijackSocket. */
export class DockerHttpAgent extends Agent {
  readonly #path: string

  /** @param path of the daemon's unix socket */
  constructor(path: string) {
    super({ keepAlive: true, maxFreeSockets: 16, timeout: 0 })
    this.#path = path
  }

  override createConnection(): Duplex {
    return new HijackSocket().connect({ path: this.#path })
  }
}
