/**
 * Ends a session after silence, with a notice first. A byte only writes down the time; the one timer of a session is set again
 * when it fires, so a busy session costs no timer work.
 */
import { Transform } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { Interceptor, Session, Stage } from '../core/types.js'

export interface IdleOptions {
  /** Silence after which the session ends. */
  readonly timeoutMs: number
  /** How long before the end a terminal is warned; 60,000 ms, at most half of `timeoutMs`. 0 for no warning. */
  readonly warnMs?: number
  /** What breaks the silence: the user's keys only, or output too (default), so that `tail -f` lives on. */
  readonly counts?: 'input' | 'either'
  /** Which sessions it is for; those with a terminal by default. */
  readonly applies?: (session: Session) => boolean
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number
}

/** The session ends with OpsError IDLE_TIMEOUT. */
export function idle(options: IdleOptions): Interceptor {
  const applies = options.applies ?? ((session: Session) => session.pty !== undefined)
  return (session) => (applies(session) ? idleStage(session, options) : undefined)
}

function idleStage(session: Session, options: IdleOptions): Stage {
  const { timeoutMs, counts = 'either', now = () => performance.now() } = options
  const warnMs = session.pty ? Math.min(options.warnMs ?? 60_000, timeoutMs / 2) : 0
  let lastMs = now()
  let isWarned = false
  const note = () => {
    lastMs = now()
    isWarned = false
  }
  const up = through(note)
  const down = through(counts === 'either' ? note : undefined)

  const check = () => {
    const silentMs = now() - lastMs
    if (silentMs >= timeoutMs) {
      down.destroy(new OpsError('IDLE_TIMEOUT', `Session "${session.id}" ended: nothing for ${timeoutMs} ms`))
      return
    }
    if (warnMs > 0 && silentMs >= timeoutMs - warnMs && !isWarned) {
      isWarned = true
      warn(down, timeoutMs - silentMs)
    }
    const next = isWarned || warnMs === 0 ? timeoutMs : timeoutMs - warnMs
    arm(next - silentMs)
  }
  let timer: NodeJS.Timeout
  const arm = (ms: number) => {
    timer = setTimeout(check, Math.max(1, Math.ceil(ms))).unref()
  }
  arm(timeoutMs - warnMs)
  return { name: 'idle', up, down, finish: async () => clearTimeout(timer) }
}

/** Passes everything on; `note` hears of every chunk. */
function through(note?: () => void): Transform {
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      note?.()
      done(null, chunk)
    },
  })
}

function warn(down: Transform, leftMs: number): void {
  if (down.destroyed || down.readableEnded || down.writableEnded) return
  down.push(`\r\ndockin: this session ends in ${Math.max(1, Math.round(leftMs / 1000))} s without activity\r\n`)
}
