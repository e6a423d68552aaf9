/** What is wrong with a shared list: which entry, which key of it, and why. */
import type { z } from 'zod'
import { explain } from '../config/explain.js'
import { keyText } from '../config/mistakes.js'
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { ListName } from '../store/list-redis.js'
import type { ListMistake } from '../wire/api/lists.js'

/** A line of an error holds this many; `mistakes` holds all. */
const MOST_IN_MESSAGE = 20

/** CONFIG_INVALID with every mistake that was found. */
export class ListError extends OpsError {
  readonly mistakes: readonly ListMistake[]

  constructor(list: ListName, mistakes: readonly ListMistake[]) {
    const shown = mistakes.slice(0, MOST_IN_MESSAGE).map((mistake) => mistakeLine(list, mistake))
    const more = mistakes.length - shown.length
    const text = escapePeerText(`${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`, 4000)
    super('CONFIG_INVALID', `Cannot use the ${list}: ${text}`, { detail: text })
    this.name = 'ListError'
    this.mistakes = mistakes
  }
}

/** `rules[2] (dev-web) commands.deny[0]: must be …` */
function mistakeLine(list: ListName, { index, name, key, message }: ListMistake): string {
  return `${list}[${index}]${name === undefined ? '' : ` (${name})`}${key === '' ? '' : ` ${key}`}: ${message}`
}

/** What `name` an entry has, where it has one. */
export function nameOf(entry: unknown): string | undefined {
  return typeof entry === 'object' && entry !== null && 'name' in entry && typeof entry.name === 'string' ? entry.name : undefined
}

/**
 * Reads each entry by itself, so that a mistake in one hides nothing about the others; two of one name are a mistake too.
 * @throws ListError
 */
export function readEntries<T extends { readonly name: string }>(list: ListName, entries: readonly unknown[], schema: z.ZodType<T>): readonly T[] {
  const mistakes: ListMistake[] = []
  const names = new Set<string>()
  const values = entries.flatMap((entry, index) => {
    const name = nameOf(entry)
    const of = { index, ...(name !== undefined && { name }) }
    const result = schema.safeParse(entry)
    if (!result.success) {
      mistakes.push(...explain(result.error.issues, (path) => at(entry, path)).map(({ path, message }) => ({ ...of, key: keyText(path), message })))
      return []
    }
    if (names.has(result.data.name)) mistakes.push({ ...of, key: 'name', message: 'is the name of an earlier one' })
    names.add(result.data.name)
    return [result.data]
  })
  if (mistakes.length > 0) throw new ListError(list, mistakes)
  return values
}

function at(entry: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? Reflect.get(value, part) : undefined),
    entry,
  )
}
