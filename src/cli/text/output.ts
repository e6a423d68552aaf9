/** `-o table|wide|json|yaml|name`: one list, five ways to print it. */
import { Document, visit } from 'yaml'
import { escapeUnicode, isUnsafe, safe } from './safe.js'
import { type Column, drawTable } from './table.js'

export const OUTPUT_FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const
export type OutputFormat = (typeof OUTPUT_FORMATS)[number]

export interface Listing<T> {
  readonly columns: readonly Column<T>[]
  /** What `-o name` prints of a row. */
  readonly name: (row: T) => string
}

export interface PrintOptions {
  readonly format: OutputFormat
  /** Cells of the terminal; undefined when it is none. */
  readonly width?: number | undefined
  readonly headers?: boolean
}

/** The whole list as text. JSON and YAML print the rows as the API gave them. */
export function printList<T>(rows: readonly T[], listing: Listing<T>, { format, ...table }: PrintOptions): string {
  switch (format) {
    case 'json':
      return jsonText(rows)
    case 'yaml':
      return yamlText(rows)
    case 'name':
      return rows.map((row) => `${safe(listing.name(row))}\n`).join('')
    default:
      return drawTable(rows, listing.columns, { ...table, wide: format === 'wide' })
  }
}

/** Indented JSON with its line feed; nothing in it moves a terminal. */
export function jsonText(value: unknown): string {
  return `${escapeUnicode(JSON.stringify(value, undefined, 2))}\n`
}

/** One line of JSON. */
export function jsonLine(value: unknown): string {
  return `${escapeUnicode(JSON.stringify(value))}\n`
}

/** A tab is escaped below, which only double quotes know; blanks at the ends of lines do not come back from a block. */
const HARD_SPACE = /\t|^\s|\s$|\s\n|\n\s/

/** YAML; texts with controls are double-quoted and escaped. */
export function yamlText(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value === 'string' && (isUnsafe(node.value) || HARD_SPACE.test(node.value))) node.type = 'QUOTE_DOUBLE'
    },
  })
  return escapeUnicode(document.toString({ lineWidth: 0 }))
}
