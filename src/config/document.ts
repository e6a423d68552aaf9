/** One YAML file as a value whose parts know their line. */
import { readFile } from 'node:fs/promises'
import { type Document, isAlias, isCollection, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { Mistake } from './mistakes.js'

export interface Position {
  readonly line: number
  readonly column: number
}

/** More than any list of rules needs; keeps a wrong file name from being read to the end. */
const MAX_FILE_BYTES = 16 * 2 ** 20

export class YamlDocument {
  readonly file: string
  readonly value: unknown
  /** Where this file's value belongs in the whole: `['users']` for a users file. */
  readonly under: readonly string[]
  readonly #document: Document
  readonly #lines: LineCounter

  constructor(file: string, value: unknown, under: readonly string[], document: Document, lines: LineCounter) {
    this.file = file
    this.value = value
    this.under = under
    this.#document = document
    this.#lines = lines
  }

  /** What stands at `path`; undefined when nothing does. */
  at(path: readonly PropertyKey[]): unknown {
    return path.reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null && Object.hasOwn(value, part) ? Reflect.get(value, part) : undefined),
      this.value,
    )
  }

  /**
   * Where `path` stands: its value when that is a scalar, else its key; the nearest part above when it is missing.
   * @param ofKey the key even where the value is a scalar
   */
  position(path: readonly PropertyKey[], ofKey = false): Position {
    let node = this.#resolve(this.#document.contents)
    let offset = startOf(node) ?? 0
    for (const [i, part] of path.entries()) {
      const next = this.#step(node, part)
      if (!next) break
      const isLast = i === path.length - 1
      const value = this.#resolve(next.value)
      const preferred = isLast && !ofKey && isScalar(value) ? (startOf(next.value) ?? next.key) : next.key
      offset = preferred ?? startOf(next.value) ?? offset
      node = value
    }
    const { line, col } = this.#lines.linePos(offset)
    return { line, column: col }
  }

  #step(node: unknown, part: PropertyKey): { key: number | undefined; value: unknown } | undefined {
    if (isSeq(node) && typeof part === 'number') return part in node.items ? { key: undefined, value: node.items[part] } : undefined
    if (!isMap(node)) return undefined
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
    return pair && { key: startOf(pair.key), value: pair.value }
  }
  #resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node
  }
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined
}

/** A document, or why there is none; never throws. */
export type YamlResult = { readonly document: YamlDocument } | { readonly mistakes: readonly Mistake[] }

/** Reads and parses; a file that cannot be read is a mistake too. */
export async function readYaml(file: string, under: readonly string[] = []): Promise<YamlResult> {
  try {
    const bytes = await readFile(file)
    if (bytes.length > MAX_FILE_BYTES) return { mistakes: [wholeFile(file, 'is larger than 16 MiB')] }
    return parseYaml(file, new TextDecoder('utf-8', { fatal: true }).decode(bytes), under)
  } catch (error) {
    return { mistakes: [wholeFile(file, `cannot be read: ${reasonOf(error)}`)] }
  }
}

/** Parses one document of YAML 1.2. Tags that are not known and keys that occur twice are mistakes. */
export function parseYaml(file: string, text: string, under: readonly string[] = []): YamlResult {
  const lines = new LineCounter()
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: true, logLevel: 'error' })
    const mistakes = [...document.errors, ...document.warnings].map(({ code, message, pos }): Mistake => {
      const { line, col } = lines.linePos(pos[0])
      return { file, line, column: col, key: '', message: code === 'MULTIPLE_DOCS' ? 'a second document starts here: one file holds one' : message }
    })
    if (mistakes.length > 0) return { mistakes }
    if (!isCollection(document.contents)) return { mistakes: [wholeFile(file, 'is empty or holds no map or list')] }
    // aliases may not blow up: each may stand for a few others, not for thousands
    return { document: new YamlDocument(file, document.toJS({ maxAliasCount: 100 }), under, document, lines) }
  } catch (error) {
    return { mistakes: [wholeFile(file, `cannot be read: ${reasonOf(error)}`)] }
  }
}

function wholeFile(file: string, message: string): Mistake {
  return { file, line: 0, column: 0, key: '', message }
}
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if ('code' in error && error.code === 'ENOENT') return 'no such file'
  if ('code' in error && error.code === 'EACCES') return 'permission denied'
  if ('code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'it is not UTF-8'
  return error.message
}
