/** What became of one pod of a batch. Every pod has exactly one outcome when a batch ends: nothing is left unsaid. */

interface Output {
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Output went beyond the limit; what is here is its beginning. */
  readonly truncated: boolean
}
export type Outcome =
  /** The program ran to its end. */
  | (Output & { readonly kind: 'exited'; readonly code: number; readonly ms: number })
  /** A rule or the recorder refused it: it did not run. */
  | { readonly kind: 'refused'; readonly message: string; readonly ms: number }
  /** The gateway, the network or the target failed; it may have run in part. */
  | { readonly kind: 'failed'; readonly message: string; readonly ms: number }
  /** It was still running at its time limit and was ended. */
  | { readonly kind: 'timeout'; readonly message: string; readonly ms: number }
  /** It was running when the batch was stopped: it may have done its work or a part of it. */
  | { readonly kind: 'interrupted'; readonly message: string; readonly ms: number }
  /** It was never started. */
  | { readonly kind: 'skipped'; readonly message: string }

export interface BatchItem {
  /** Unique in a batch, the same in each run: `cluster/namespace/pod/container`. */
  readonly id: string
}

/** Exit code of an outcome, contract.md "Exit codes". */
export function exitOf(outcome: Outcome): number {
  if (outcome.kind === 'exited') return outcome.code
  return outcome.kind === 'refused' ? 254 : 255
}

/** Whether the pod did what was asked of it. */
export function succeeded(outcome: Outcome): boolean {
  return outcome.kind === 'exited' && outcome.code === 0
}

/**
 * Exit code of a whole batch: 0 when all succeeded; one code when every failure has it; 255 where pods failed or were not
 * reached, then 254, before 1 for different codes of the programs' own.
 */
export function batchExit(outcomes: readonly Outcome[]): number {
  const codes = new Set(outcomes.filter((outcome) => !succeeded(outcome)).map(exitOf))
  if (codes.size === 0) return 0
  if (codes.size === 1) return [...codes][0] ?? 255
  if (codes.has(255)) return 255
  return codes.has(254) ? 254 : 1
}

/** One line about an outcome: "exit 0", "refused: …". Holds what servers said: print it through `safe`. */
export function outcomeText(outcome: Outcome): string {
  if (outcome.kind === 'exited') return `exit ${outcome.code}${outcome.truncated ? ', output cut' : ''}`
  return `${LABELS[outcome.kind]}: ${outcome.message}`
}

const LABELS = { refused: 'refused', failed: 'failed', timeout: 'timed out', interrupted: 'interrupted', skipped: 'not started' } as const
