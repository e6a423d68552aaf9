/** A YAML file with a list of rules, or one rule, whose mistakes are told as FILE:LINE:COLUMN. */
import { readFile } from 'node:fs/promises'
import { type Document, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml'
import type { ListMistake } from '../../wire/api/lists.js'
import { UsageError } from '../problem.js'
import { safe } from './safe.js'

export interface ListFile {
  /** The entries; of a file that holds one map, that one. */
  readonly entries: readonly unknown[]
  readonly isOne: boolean
  /** The version that the file says it was read at ("# dockin rules version 7"). */
  readonly version: number | undefined
  /** `FILE:LINE:COLUMN: rule dev: commands.deny[0]: must be …` */
  mistakeText(mistake: ListMistake): string
}

/** First line of a list that is to be edited and put back. */
export function versionLine(list: string, version: number): string {
  return `# dockin ${list} version ${version}\n`
}

/** @throws UsageError when it cannot be read, or is no YAML */
export async function readListFile(file: string): Promise<ListFile> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageError(`cannot read "${file}": ${error.message}`, 1)
  })
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: true, logLevel: 'error' })
  const [wrong] = [...document.errors, ...document.warnings]
  if (wrong) {
    const { line, col } = lines.linePos(wrong.pos[0])
    throw new UsageError(`${file}:${line}:${col}: ${wrong.message}`, 1)
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 })
  if (typeof value !== 'object' || value === null) throw new UsageError(`${file}: holds neither a list nor a map`, 1)
  const isOne = !Array.isArray(value)
  const version = /^# dockin \w+ version (\d{1,15})$/m.exec(text)?.[1]
  return {
    entries: Array.isArray(value) ? (value as readonly unknown[]) : [value],
    isOne,
    version: version === undefined ? undefined : Number(version),
    mistakeText: ({ index, name, key, message }) => {
      const path = [...(isOne ? [] : [index]), ...keyPath(key)]
      const { line, col } = lines.linePos(startOf(document, path))
      return safe(`${file}:${line}:${col}: ${name === undefined ? `entry ${index + 1}` : `rule ${name}`}${key === '' ? '' : `: ${key}`}: ${message}`)
    },
  }
}

/** `commands.deny[0]` -> ['commands', 'deny', 0]. */
function keyPath(key: string): (string | number)[] {
  return key.split('.').flatMap((part) => {
    const [name = '', ...indexes] = part.split('[')
    return [...(name === '' ? [] : [name]), ...indexes.map((text) => Number.parseInt(text, 10))]
  })
}

/** Where a path stands, or the nearest part above that does: its key, or an entry of a list itself. */
function startOf(document: Document, path: readonly (string | number)[]): number {
  for (let length = path.length; length > 0; length--) {
    const part = path[length - 1]
    const above = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    if (!isNode(above) || !('items' in above)) continue
    const item: unknown =
      typeof part === 'number' ? above.items[part] : above.items.find((each) => isPair(each) && isScalar(each.key) && each.key.value === part)
    const node = isPair(item) ? item.key : item
    if (isNode(node) && node.range) return node.range[0]
  }
  return 0
}
