import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BENIGN } from './benign.js'
import { type CaseTable, EVASIONS } from './evasions.js'
import { judged } from './support/lines.js'

/** What went another way than the table says, with the reason that the judge gave. */
function surprises({ rule, dialects, lines }: CaseTable, expected: 'allow' | 'deny'): string[] {
  return dialects.flatMap((dialect) =>
    lines.flatMap((line) => {
      const { verdict, reason } = judged(line, rule, dialect)
      return verdict === expected ? [] : [`${dialect} ${JSON.stringify(line)}: ${verdict} ${reason ?? ''}`]
    }),
  )
}

describe('judge denies', () => {
  for (const table of EVASIONS) test(table.what, () => assert.deepEqual(surprises(table, 'deny'), []))
})
describe('judge allows', () => {
  for (const table of BENIGN) test(table.what, () => assert.deepEqual(surprises(table, 'allow'), []))
})
test('the tables hold more than 300 lines of our own', () => {
  assert.ok([...EVASIONS, ...BENIGN].reduce((sum, table) => sum + table.lines.length, 0) > 300)
})
test('every refusal gives one line of reason', () => {
  for (const { lines, rule, dialects } of EVASIONS) {
    for (const line of lines) assert.match(judged(line, rule, dialects[0]).reason ?? '', /^\P{Cc}{3,400}$/u, line)
  }
})
