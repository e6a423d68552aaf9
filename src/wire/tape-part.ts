/** How a part of a recording is asked for, and what its header says of it. */

/** Where a part begins: at a second, at a command by the number of its event, at a moment, or at the block where the part before ended. */
export interface CastPlace {
  readonly seconds?: number
  readonly seq?: number
  readonly time?: Date
  readonly block?: number
}

/** `dockin.part` of the header. */
export interface CastPartFacts {
  /** Where it begins: all that happened before is in its screen. A part that goes on from another one has no screen. */
  readonly seconds: number
  /** Block where the next part begins; absent at the end of what is recorded. */
  readonly next?: number
  /** Second of the last event of the whole recording. */
  readonly total: number
}
