/** Where a Reflector reads pods from: a full list, then what changes after it. */
import type { PodFacts } from './inventory.js'

/** `version` is where a later watch may go on; absent when the source does not say. */
export type PodEvent =
  | { readonly kind: 'set'; readonly pod: PodFacts; readonly version?: string }
  | { readonly kind: 'gone'; readonly uid: string; readonly version?: string }
  /** Nothing changed: the watch has been accepted, or a bookmark came. */
  | { readonly kind: 'mark'; readonly version?: string }

export interface PodSource {
  /** For the log. */
  readonly name: string
  /** Whether a watch may go on from the version of the last event after it has ended. */
  readonly resumable: boolean
  /**
   * Reads every pod, page by page.
   * @returns the version that a watch may start from
   */
  list(page: (pods: readonly PodFacts[]) => void, signal: AbortSignal): Promise<string>
  /** Ends when the server ends it, or when nothing was heard for too long. @throws ExpiredVersion when only a new list helps */
  watch(version: string, signal: AbortSignal): AsyncIterable<PodEvent>
}

/** The version is too old (HTTP 410, reason Expired or Gone): read everything again. */
export class ExpiredVersion extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ExpiredVersion'
  }
}
/** The server answered, and what it said cannot be used; unlike a network failure it is not cured by waiting alone. */
export class BadAnswer extends Error {
  readonly status: number | undefined
  constructor(message: string, options: { readonly status?: number; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'BadAnswer'
    this.status = options.status
  }
}
