/**
 * The write governor of one connection. ssh2 hands every packet to the socket at once, whatever the socket says, so the only
 * limit would be the window, which the client names (1 GiB cost 820 MiB here). So channels do not write: they wait in a ring,
 * and a packet is made only while the socket's own queue is short and no keys are being exchanged.
 */

/** One direction of one channel that has something to send. */
export interface Lane {
  /** Bytes that one packet could carry now; 0 when nothing is pending or the client's window is closed. */
  readonly sendable: number
  /** Makes one packet of at most `sendable` bytes. */
  send(): void
}
/** What the governor watches. */
export interface Wire {
  /** Bytes handed to the socket that the kernel has not taken. */
  queuedBytes(): number
  /** True while packets would pile up in ssh2 (key exchange) or nobody is there. */
  blocked(): boolean
  cork(): void
  uncork(): void
}

/** Enough to fill a write of the kernel's, little enough that 4,000 stuck clients cost 1 GiB. */
export const MAX_QUEUED_BYTES = 256 * 1024

export class Governor {
  readonly #wire: Wire
  /** Insertion order is turn order: a lane that has sent goes to the end. */
  readonly #ring = new Set<Lane>()
  #pumping = false
  #fullSince: number | undefined

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** When the socket became full and has not drained since; `performance.now()`. */
  get fullSince(): number | undefined {
    return this.#fullSince
  }

  /** Call when the lane has something to send, or its window has opened. */
  ready(lane: Lane): void {
    this.#ring.add(lane)
    this.pump()
  }

  drop(lane: Lane): void {
    this.#ring.delete(lane)
  }

  /** The socket's 'drain'. */
  drained(): void {
    this.#fullSince = undefined
    this.pump()
  }

  /** Notes whether the socket is full; also for what is not governed, such as replies. */
  isFull(): boolean {
    const full = this.#wire.queuedBytes() >= MAX_QUEUED_BYTES
    if (full) this.#fullSince ??= performance.now()
    return full
  }

  /** Sends in turn, one packet a lane, until the socket is full. A writer called back in here may make its lane ready again. */
  pump(): void {
    if (this.#pumping || this.#ring.size === 0) return
    this.#pumping = true
    this.#wire.cork()
    try {
      for (let lane = this.#next(); lane; lane = this.#next()) {
        lane.send()
        if (lane.sendable > 0) this.#ring.add(lane)
      }
    } finally {
      this.#pumping = false
      this.#wire.uncork()
    }
  }

  #next(): Lane | undefined {
    if (this.#wire.blocked()) return undefined
    for (const lane of this.#ring) {
      if (lane.sendable === 0) {
        // It comes back through ready() when its window opens.
        this.#ring.delete(lane)
        continue
      }
      if (this.isFull()) return undefined
      this.#ring.delete(lane)
      return lane
    }
    return undefined
  }
}
