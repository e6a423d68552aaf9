/** Structured logs: pino JSON on stderr, one event name and its fields a line. */
import { type DestinationStream, pino } from 'pino'

/** log.info({ session, target }, 'session.open'): fields first, then the event's name. */
export interface Logger {
  debug(fields: object, event: string): void
  info(fields: object, event: string): void
  warn(fields: object, event: string): void
  error(fields: object, event: string): void
  child(fields: object): Logger
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Keys whose values never reach a log, wherever a caller puts them; the callers do not log them either. */
const SECRET_PATHS = ['password', 'token', 'otp', 'authorization', 'cookie', '*.password', '*.token', '*.otp', '*.authorization', '*.cookie']

/** @param destination stderr by default; synchronous, so that the last line before an exit is not lost */
export function createLogger(level: LogLevel = 'info', destination?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { error: pino.stdSerializers.err },
  }
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }))
}

/** Drops everything; for tests. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}

/**
 * Text that a peer chose, made safe for a terminal or a log line: control characters, and the Unicode characters that
 * reorder or hide text, print as escapes. @param max longest result in characters, then "…"
 */
export function escapePeerText(text: string, max = 256): string {
  const escaped = text.slice(0, max).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => {
    const point = c.codePointAt(0) as number
    return point < 0x100 ? `\\x${point.toString(16).padStart(2, '0')}` : `\\u{${point.toString(16)}}`
  })
  return text.length > max ? `${escaped}…` : escaped
}
