/** A Writable for bulk: what one turn of the event loop brings is handed over at once. */
import { Writable } from 'node:stream'

/** From here on a write is bulk, which gains from waiting for the rest of its turn; an echoed key must not wait. */
const BULK_BYTES = 4096

/**
 * A TLS socket brings at most 16 KiB at a time (one record), several times in one turn of the loop, with rests of a few
 * bytes where frames end. Written one by one, each costs a system call; `writev` gets them together.
 * A small write outside of bulk goes through at once. `highWaterMark` bounds what gathers.
 */
export class GatheringWritable extends Writable {
  override write(chunk: unknown, encoding?: unknown, done?: unknown): boolean {
    if (chunk instanceof Uint8Array && chunk.length >= BULK_BYTES && this.writableCorked === 0) {
      this.cork()
      setImmediate(() => this.uncork())
    }
    return super.write(chunk, encoding as BufferEncoding, done as (error?: Error | null) => void)
  }
}
