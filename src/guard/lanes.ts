/** The two streams of the guarded shell that the relay sees. */
import { Readable, Writable } from 'node:stream'

/** Client bytes that wait for a state that takes them; beyond it the client is held back. */
export const MAX_QUEUE_BYTES = 64 * 1024
/** Drawn or printed bytes that the client has not read; beyond it nothing more is taken from it or from the target. */
const MAX_UNREAD_BYTES = 256 * 1024

/** Bytes from the client. `taken` is called when they were used up or queued within the limit. */
export function clientInput(onBytes: (bytes: Buffer, taken: () => void) => void, onEnd: () => void): Writable {
  return new Writable({
    write: (chunk: Buffer, _encoding, callback) => onBytes(chunk, callback),
    final: (callback) => {
      onEnd()
      callback()
    },
  })
}

/** Bytes to the client. `onRoom` is called when it has read enough that more may be made. */
export class ClientOutput {
  readonly stream: Readable
  #ended = false

  constructor(onRoom: () => void) {
    // Not at once: a stream asks for more before it counts what is being read as gone, and asks only once.
    this.stream = new Readable({ read: () => queueMicrotask(onRoom), highWaterMark: MAX_UNREAD_BYTES })
  }

  /** False while the client does not read. */
  get hasRoom(): boolean {
    return this.stream.readableLength < MAX_UNREAD_BYTES
  }

  write(bytes: Buffer | string): void {
    if (!this.#ended && bytes.length > 0) this.stream.push(bytes)
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.stream.push(null)
  }

  destroy(): void {
    this.#ended = true
    this.stream.destroy()
  }
}
