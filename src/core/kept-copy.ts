/** Copies of uploads that a rule wants kept for review. Whoever moves files fills them; whoever stores things knows where they rest. */

/** Where a copy rests: fields of its `file` event. */
export interface KeptAt {
  /** Path below dataDir. */
  readonly kept: string
  /** Of the content that it holds: fewer than passed where the rule's limit was reached. */
  readonly keptBytes: number
  /** Of the copy's own file, as it rests. */
  readonly keptSha256: string
}

/** One copy on its way. */
export interface KeptCopy {
  /** Content in order; one call at a time. @throws Error of the disk */
  add(data: Buffer): Promise<void>
  /** Resolves once the copy is durable. @throws Error of the disk */
  finish(): Promise<KeptAt>
  /** Drops it: there is nothing to keep, or it begins anew. Never rejects. */
  discard(): Promise<void>
}

/** Begins a copy in the session that it is bound to. @throws Error of the disk */
export type BeginCopy = () => Promise<KeptCopy>
