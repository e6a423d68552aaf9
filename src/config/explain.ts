/** zod's issues in the words of someone who edits YAML. Values are never repeated: they may be secrets. */
import type { z } from 'zod'

type Issue = z.core.$ZodIssue

export interface Explained {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The key itself is wrong, not what it holds. */
  readonly ofKey: boolean
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
}

/** @param at what the file holds at a path below the one that was parsed */
export function explain(issues: readonly Issue[], at: (path: readonly PropertyKey[]) => unknown): Explained[] {
  return issues.flatMap((issue) => explainOne(issue, issue.path, at))
}

function explainOne(issue: Issue, path: readonly PropertyKey[], at: (path: readonly PropertyKey[]) => unknown): Explained[] {
  const value = at(path)
  const one = (message: string): Explained[] => [{ path, message, ofKey: false }]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: 'is not a known key', ofKey: true }))
    case 'invalid_union':
      return explainUnion(issue, path, at)
    case 'invalid_type':
      if (value === undefined) return one('is missing')
      return one(isOwnText(issue) ? issue.message : `must be ${EXPECTED[issue.expected] ?? issue.expected}, not ${kindOf(value)}${hint(issue.expected, value)}`)
    case 'invalid_value':
      return one(value === undefined ? 'is missing' : `must be one of ${issue.values.map(String).join(', ')}`)
    default:
      return one(issue.message)
  }
}

/** Of several forms, the one that was meant: the first whose kind of value fits. */
function explainUnion(issue: Issue & { code: 'invalid_union' }, path: readonly PropertyKey[], at: (path: readonly PropertyKey[]) => unknown): Explained[] {
  // without branches: a list of types told by one key, which is missing or names none of them
  if (issue.errors.length === 0) return [{ path, message: at(path) === undefined ? 'is missing' : issue.message, ofKey: false }]
  const meant = issue.errors.find((branch) => !branch.some(({ code, path: below }) => code === 'invalid_type' && below.length === 0))
  if (meant) return meant.flatMap((inner) => explainOne(inner, [...path, ...inner.path], at))
  const kinds = issue.errors.flatMap((branch) => branch.flatMap((inner) => (inner.code === 'invalid_type' ? [EXPECTED[inner.expected] ?? inner.expected] : [])))
  const value = at(path)
  const message = value === undefined ? 'is missing' : `must be ${[...new Set(kinds)].join(' or ')}, not ${kindOf(value)}`
  return [{ path, message, ofKey: false }]
}

function isOwnText(issue: Issue): boolean {
  return !issue.message.startsWith('Invalid input')
}
function kindOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  return EXPECTED[typeof value] ?? typeof value
}
function hint(expected: string, value: unknown): string {
  if (expected !== 'string') return ''
  if (typeof value === 'number' || typeof value === 'boolean') return ': put it in quotes'
  return Array.isArray(value) ? ': text that starts with "[" needs quotes' : ''
}
