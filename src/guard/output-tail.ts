/** Where the last output left the cursor: the prompt begins on a line of its own. */

/** Bytes kept; enough for what programs print when they leave. */
const TAIL_BYTES = 256

export class OutputTail {
  #tail: Buffer = Buffer.alloc(0)

  /** Call with all output the client sees that we did not draw ourselves. */
  note(chunk: Buffer): void {
    this.#tail = chunk.length >= TAIL_BYTES ? chunk.subarray(chunk.length - TAIL_BYTES) : Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES)
  }

  /** The cursor was put at the start of a line. */
  clear(): void {
    this.#tail = Buffer.alloc(0)
  }

  /** False when text stands before the cursor, as after `printf x`. */
  get atLineStart(): boolean {
    let start = true
    // OSC, CSI, other escapes, then single characters; what moves to column 1 or comes back from the other screen counts as a start.
    for (const token of this.#tail.toString('latin1').match(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-9;?]*[ -/]*[@-~]?|\x1b.?|[\s\S]/g) ?? []) {
      if (token === '\n' || token === '\r' || /^\x1b\[(?:\d*(?:;1?)?)?H$|^\x1b\[\?(?:1049|1047|47)[hl]$|^\x1bc$|^\x1b\[1?G$/.test(token)) start = true
      else if (token.length === 1 && token >= ' ' && token !== '\x7f') start = false
      else if (token === '\t') start = false
    }
    return start
  }
}
