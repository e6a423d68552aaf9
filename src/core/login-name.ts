/** The SSH user name carries the target: `USER[+TARGET]` (contract.md, "Address"). */
export interface LoginName {
  readonly user: string
  /** Everything after the first "+"; empty when no target was named. */
  readonly address: string
}

/** Splits at the first "+", so a user's name never holds one and a target may (`+CONTAINER`). */
export function splitLoginName(name: string): LoginName {
  const plus = name.indexOf('+')
  return plus < 0 ? { user: name, address: '' } : { user: name.slice(0, plus), address: name.slice(plus + 1) }
}
