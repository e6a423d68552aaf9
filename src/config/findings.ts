/** Collects everything that is wrong while a configuration is read, so that one look at the list mends all of it. */
import type { z } from 'zod'
import { escapePeerText } from '../core/log.js'
import type { YamlDocument } from './document.js'
import { explain } from './explain.js'
import { keyText, type Mistake } from './mistakes.js'

/** A value, and where it was written. */
export interface Located<T> {
  readonly value: T
  readonly document: YamlDocument
  readonly path: readonly PropertyKey[]
}

export class Findings {
  readonly mistakes: Mistake[] = []
  readonly warnings: Mistake[] = []

  add(...mistakes: readonly Mistake[]): void {
    this.mistakes.push(...mistakes)
  }
  mistake(document: YamlDocument, path: readonly PropertyKey[], message: string, ofKey = false): void {
    this.mistakes.push(located(document, path, message, ofKey))
  }
  warning(document: YamlDocument, path: readonly PropertyKey[], message: string): void {
    this.warnings.push(located(document, path, message, false))
  }

  /** What stands at `path`, as `schema` has it; undefined after a mistake. */
  read<T>(document: YamlDocument, path: readonly PropertyKey[], schema: z.ZodType<T>): T | undefined {
    const result = schema.safeParse(document.at(path))
    if (result.success) return result.data
    const explained = explain(result.error.issues, (below) => document.at([...path, ...below]))
    for (const { path: below, message, ofKey } of explained) this.mistake(document, [...path, ...below], message, ofKey)
    return undefined
  }

  /** The entries of a list, each read by itself: a mistake in one hides nothing about the others. */
  readList<T>(document: YamlDocument, path: readonly PropertyKey[], schemaOf: (value: unknown) => z.ZodType<T>): Located<T>[] {
    const list = document.at(path)
    if (!Array.isArray(list)) {
      this.mistake(document, path, list === undefined ? 'is missing' : 'must be a list')
      return []
    }
    return list.flatMap((entry: unknown, i) => {
      const at = [...path, i]
      const value = this.read(document, at, schemaOf(entry))
      return value === undefined ? [] : [{ value, document, path: at }]
    })
  }

  /** Every name that an entry of the list at `path` shares with one before it, whether or not the entries are right otherwise. */
  refuseTwins(document: YamlDocument, path: readonly PropertyKey[], what: string): void {
    const list = document.at(path)
    if (!Array.isArray(list)) return
    const lines = new Map<unknown, number>()
    for (const i of list.keys()) {
      const at = [...path, i, 'name']
      const name = document.at(at)
      const first = lines.get(name)
      if (typeof name !== 'string') continue
      if (first === undefined) lines.set(name, document.position(at).line)
      else this.mistake(document, at, `is the name of the ${what} on line ${first} already`)
    }
  }
}

function located(document: YamlDocument, path: readonly PropertyKey[], message: string, ofKey: boolean): Mistake {
  const name = nameOf(document, path)
  const key = keyText([...document.under, ...path])
  return { file: document.file, ...document.position(path, ofKey), key, message: name === undefined ? message : `${message} (${escapePeerText(name, 64)})` }
}
/** The name of the user, rule or cluster that `path` lies in: people know that better than its number. */
function nameOf(document: YamlDocument, path: readonly PropertyKey[]): string | undefined {
  const entry = path.findIndex((part) => typeof part === 'number')
  const name = entry < 0 ? undefined : document.at([...path.slice(0, entry + 1), 'name'])
  return typeof name === 'string' && path[entry + 1] !== 'name' ? name : undefined
}
