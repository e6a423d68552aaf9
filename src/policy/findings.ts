/**
 * What is denied by default, whatever the lists of a rule say: the table of guarded-shell.md, "Analyser".
 * The analyser reports findings; what each means under a white or a black list stands here and nowhere else.
 */
import type { CommandRule } from '../core/types.js'

export type Cause =
  | 'dynamic-name'
  | 'foreign-program'
  | 'output'
  | 'protected-output'
  | 'variable'
  | 'shell-state'
  | 'function'
  | 'bad-function'
  | 'opaque'
  | 'escape'
  | 'hidden'
  | 'unproven'
  | 'dialect'
  | 'syntax'
  | 'unread-option'
  | 'too-much'

/** Something in a line that a default speaks about. */
export interface Finding {
  readonly cause: Cause
  /** The command that it was found at: "tar", "redirection". */
  readonly command: string
  /** What was found, as the rest of a sentence. */
  readonly found: string
}

/** `opaque` and `escape`: denied unless the rule says `opaque: allow`, `escape_capable: allow`. */
type Stand = 'deny' | 'allow' | 'opaque' | 'escape'
const DEFAULTS: Readonly<Record<Cause, { readonly allow: Stand; readonly deny: Stand }>> = {
  'dynamic-name': { allow: 'deny', deny: 'deny' },
  'foreign-program': { allow: 'deny', deny: 'deny' },
  output: { allow: 'deny', deny: 'allow' },
  'protected-output': { allow: 'deny', deny: 'deny' },
  variable: { allow: 'deny', deny: 'deny' },
  'shell-state': { allow: 'deny', deny: 'deny' },
  function: { allow: 'deny', deny: 'allow' },
  'bad-function': { allow: 'deny', deny: 'deny' },
  opaque: { allow: 'opaque', deny: 'opaque' },
  escape: { allow: 'escape', deny: 'escape' },
  hidden: { allow: 'deny', deny: 'deny' },
  // A value that may run a command when arithmetic or test reads it, and that this line does not show.
  unproven: { allow: 'deny', deny: 'allow' },
  dialect: { allow: 'deny', deny: 'deny' },
  syntax: { allow: 'deny', deny: 'deny' },
  'unread-option': { allow: 'deny', deny: 'deny' },
  'too-much': { allow: 'deny', deny: 'deny' },
}

/** True when `rule` does not let a line with this finding run. */
export function isDenied({ cause }: Finding, rule: CommandRule): boolean {
  const stand = DEFAULTS[cause][rule.mode]
  if (stand === 'opaque') return !rule.opaque
  if (stand === 'escape') return !rule.escapeCapable
  return stand === 'deny'
}
