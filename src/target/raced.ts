/**
 * `work`, or the reason of `signal` when that comes first; `work` then ends unheard, whatever it ends with.
 * For what cannot be cancelled itself.
 */
export async function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let giveUp: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(signal.reason)
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
  })
  try {
    return await Promise.race([aborted, work])
  } finally {
    if (giveUp) signal.removeEventListener('abort', giveUp)
  }
}
