/**
 * What the tables of wrappers, builtins and programs may say about a command: the words between them and the analyser, so
 * that a new row needs to know nothing of the tree walk.
 */
import type { Dialect } from '../core/types.js'
import type { Cause } from './findings.js'
import type { Arg } from './words.js'

/** One command about to run: its name without directory, and its arguments. */
export interface Call {
  readonly name: string
  readonly args: readonly Arg[]
}
/** Judges a call: reports what it finds to the scope. */
export type Vet = (call: Call, scope: Scope) => void

export interface Scope {
  readonly dialect: Dialect
  /** Reports something that a default speaks about. */
  find(cause: Cause, command: string, found: string): void
  /** `argv` will run as a command of its own: one level deeper. */
  run(argv: readonly Arg[], command: string): void
  /** `text` will be read by a shell of `dialect`. */
  script(text: string, dialect: Dialect, command: string): void
  /**
   * `name` gets a value; `value` is undefined when only the shell knows it.
   * @param numeric whatever the value is, arithmetic can only read it as a number
   */
  assign(name: string, value: Arg | undefined, command: string, numeric?: boolean): void
  /** `text` is read as arithmetic. */
  arithmetic(text: string, command: string): void
  /** The command writes the file that `path` names, as an output redirection does. */
  write(path: Arg, command: string): void
  /** The directory changes; undefined when only the shell knows where to. */
  changeDirectory(path: Arg | undefined): void
  /** True for a name that the tables know as a command: another thing of that name would hide it. */
  isCommand(name: string): boolean
  /** Values that the line itself gives a variable; undefined when there may be others. Asked after the whole line was read. */
  later(check: () => void): void
  valuesOf(variable: string): readonly Arg[] | undefined
}
