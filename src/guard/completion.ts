/** stub */
import type { Clock } from './clock.js'
export interface Completion {
  readonly insert: string
  readonly names: readonly string[]
}
export class Completer {
  constructor(_ask: (argv: readonly string[], signal: AbortSignal) => Promise<string>, _clock: Clock) {}
  complete(_q: unknown, _signal: AbortSignal): Promise<Completion> {
    return Promise.resolve({ insert: '', names: [] })
  }
  columns(names: readonly string[], _columns: number): string {
    return names.join(' ')
  }
}
