/** Time as the guarded shell sees it, so that tests can move it. */
export interface Clock {
  /** Milliseconds that only grow. */
  now(): number
  /** Calls back once after `ms`; the answer cancels. */
  after(ms: number, callback: () => void): () => void
}

/** The machine's clock. */
export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
