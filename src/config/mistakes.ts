/** What is wrong with a configuration, and where. */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'

export interface Mistake {
  readonly file: string
  /** 1-based; 0 when the file as a whole is meant. */
  readonly line: number
  readonly column: number
  /** As people write it: `clusters[0].agent.port`; empty for the file as a whole. */
  readonly key: string
  readonly message: string
}

/** A log line holds this many; `mistakes` holds all. */
const MOST_IN_MESSAGE = 20

/** CONFIG_INVALID with every mistake that was found. */
export class ConfigError extends OpsError {
  readonly mistakes: readonly Mistake[]
  readonly warnings: readonly Mistake[]

  constructor(file: string, mistakes: readonly Mistake[], warnings: readonly Mistake[]) {
    const shown = mistakes.slice(0, MOST_IN_MESSAGE).map(mistakeText)
    const more = mistakes.length - shown.length
    super('CONFIG_INVALID', `Cannot use config "${file}": ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`)
    this.name = 'ConfigError'
    this.mistakes = mistakes
    this.warnings = warnings
  }
}

/** `['users', 0, 'keys', 1]` -> `users[0].keys[1]`. */
export function keyText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    return text === '' ? escapePeerText(String(part)) : `${text}.${escapePeerText(String(part))}`
  }, '')
}

/** `FILE:LINE:COLUMN: KEY: MESSAGE`, as compilers print it, so that editors can jump there. */
export function mistakeText({ file, line, column, key, message }: Mistake): string {
  const where = line === 0 ? file : `${file}:${line}:${column}`
  return `${where}: ${key === '' ? message : `${key}: ${message}`}`
}

/** One line a mistake, then one a warning, in the order of files and lines; ends with a newline unless there are none. */
export function printMistakes(mistakes: readonly Mistake[], warnings: readonly Mistake[] = []): string {
  const lines = [...inOrder(mistakes).map(mistakeText), ...inOrder(warnings).map((warning) => `warning: ${mistakeText(warning)}`)]
  return lines.map((line) => `${line}\n`).join('')
}

function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  return mistakes.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column))
}
