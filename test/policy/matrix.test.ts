import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DOORS } from '../../src/core/types.js'
import { matrix, matrixTable, RULES } from './matrix.js'

const DOCUMENT = join(import.meta.dirname, '../../docs/rules.md')
const columns = Object.keys(RULES)
const column = (name: string) => matrix().map(({ door, asked, answers }) => ({ door, asked, answer: answers[columns.indexOf(name)] }))

test('every door stands in the matrix', () => {
  assert.deepEqual([...new Set(matrix().map(({ door }) => door))], [...DOORS])
})
test('where no rule matches every door refuses everything', () => {
  for (const { door, asked, answer } of column('no rule matches')) assert.equal(answer, 'refused', `${door} ${asked}`)
})
test('a plain rule lets everything through every door', () => {
  for (const { door, asked, answer } of column('plain')) assert.equal(answer, 'allowed', `${door} ${asked}`)
})
test('lines come out the same at every door that runs lines', () => {
  const expected: Readonly<Record<string, readonly [ls: string, rm: string]>> = {
    'black list': ['allowed', 'refused'],
    'white list': ['allowed', 'refused'],
    confirm: ['allowed', 'asks (confirm)'],
    approve: ['allowed', 'asks (approve)'],
  }
  for (const [rule, [ls, rm]] of Object.entries(expected)) {
    for (const { door, asked, answer } of column(rule)) {
      if (asked === 'ls') assert.equal(answer, ls, `${rule} ${door}`)
      if (asked === 'rm') assert.equal(answer, rm, `${rule} ${door}`)
      if (asked === 'open') assert.equal(answer, 'guarded', `${rule} ${door}`)
    }
  }
})
test('logs are read where the door opens, and under a white list only where it is named', () => {
  const read = (rule: string) => column(rule).find(({ door }) => door === 'logs')?.answer
  assert.equal(read('black list'), 'allowed')
  assert.equal(read('white list'), 'refused')
})
test('a list of doors shuts the others', () => {
  for (const { door, asked, answer } of column('doors: [shell]')) assert.equal(answer, door === 'shell' ? 'allowed' : 'refused', `${door} ${asked}`)
})
test('files go only where the rule lets them, and under a white list only where it says so', () => {
  for (const { door, asked, answer } of column('files: download only')) assert.equal(answer, asked === 'upload' ? 'refused' : 'allowed', `${door} ${asked}`)
  for (const { door, asked, answer } of column('white list'))
    if (asked === 'download' || asked === 'upload') assert.equal(answer, 'refused', `${door} ${asked}`)
})
test('docs/rules.md prints the matrix as it is', () => {
  const text = readFileSync(DOCUMENT, 'utf8')
  const match = /<!-- matrix -->\n([\s\S]*?)\n<!-- \/matrix -->/.exec(text)
  if (process.env.UPDATE_DOCS !== undefined && match) writeFileSync(DOCUMENT, text.replace(match[1] ?? '', matrixTable()))
  else assert.equal(match?.[1], matrixTable(), 'bring it up to date with: UPDATE_DOCS=1 node --import tsx --test test/policy/matrix.test.ts')
})
