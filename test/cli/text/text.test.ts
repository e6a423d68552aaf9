import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { nearNames } from '../../../src/cli/text/near.js'
import { jsonText, printList, yamlText } from '../../../src/cli/text/output.js'
import { isBinary } from '../../../src/cli/text/safe.js'
import { painter } from '../../../src/cli/text/style.js'
import { drawTable } from '../../../src/cli/text/table.js'
import { cellsOf, cut } from '../../../src/cli/text/width.js'

const plain = { noNullPrototype: true }

interface Row {
  readonly name: string
  readonly note: string
}
const columns = [
  { title: 'NAME', value: (row: Row) => row.name, shrinkTo: 8, cut: 'middle' as const },
  { title: 'NOTE', value: (row: Row) => row.note, shrinkTo: 6 },
  { title: 'MORE', value: () => 'more', wide: true },
]
const UNSAFE = /[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2028\u2029]/

test('columns stand under each other, CJK names too', () => {
  const table = drawTable(
    [
      { name: '订单服务-0', note: 'ok' },
      { name: 'web-0', note: '' },
    ],
    columns,
  )
  assert.equal(table, 'NAME         NOTE\n订单服务-0   ok\nweb-0        -\n')
})

test('a table fits its terminal at 80 and 200 columns, and is whole where there is none', () => {
  const rows = Array.from({ length: 5 }, (_, i) => ({ name: `very-long-deployment-name-${'x'.repeat(40)}-${i}`, note: '支付网关'.repeat(15) }))
  for (const width of [80, 200]) {
    for (const line of drawTable(rows, columns, { width }).split('\n')) assert.ok(cellsOf(line) <= width, line)
  }
  assert.match(drawTable(rows, columns, { width: 80 }), /very-long.*….*-4 /)
  assert.match(drawTable(rows, columns), /x{40}-4/)
})

test('whatever rows hold, a table is one line a row, fits, and moves no terminal', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  fc.assert(
    fc.property(fc.array(fc.record({ name: text, note: text }), { maxLength: 5 }), fc.integer({ min: 20, max: 120 }), (rows, width) => {
      const table = drawTable(rows, columns, { width })
      assert.equal(table.split('\n').length, rows.length + 2)
      assert.doesNotMatch(table, UNSAFE)
      for (const line of table.split('\n')) assert.ok(cellsOf(line) <= width, JSON.stringify(line))
    }),
  )
})

test('JSON and YAML say the same as the value, and move no terminal', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ name: fc.string({ unit: 'binary' }), nested: fc.record({ 'a key': fc.string() }, plain) }, plain)), (rows) => {
      assert.deepEqual(JSON.parse(jsonText(rows)), rows)
      assert.doesNotMatch(jsonText(rows), UNSAFE)
      assert.doesNotMatch(yamlText(rows), UNSAFE)
      assert.deepEqual(parse(yamlText(rows)), rows)
    }),
  )
})

test('-o name prints one safe name a line', () => {
  assert.equal(printList([{ name: 'a\x1b[2J', note: '' }], { columns, name: (row) => row.name }, { format: 'name' }), 'a\\x1b[2J\n')
})

test('cut keeps what tells names apart', () => {
  assert.equal(cut('web-deployment-abcde-12345', 12, 'middle'), 'web-de…12345')
  assert.equal(cut('支付网关', 5), '支付…')
  assert.equal(cut('abc', 0), '')
})

test('near names are found, far ones are not', () => {
  const names = ['pods', 'nodes', 'clusters', 'sessions', 'rules', 'users']
  assert.deepEqual(nearNames('pdos', names), ['pods'])
  assert.deepEqual(nearNames('sess', names), ['sessions'])
  assert.deepEqual(nearNames('xyzzy', names), [])
})

test('binary is told from text', () => {
  assert.ok(isBinary(Buffer.from([1, 2, 3, 0, 5])))
  assert.ok(!isBinary(Buffer.from('plain text\n\x1b[31mred\x1b[0m 支付\n')))
  assert.ok(!isBinary(Buffer.alloc(0)))
})

test('colours are for terminals, and NO_COLOR and TERM=dumb are heard', () => {
  assert.equal(painter({}, true)('red', 'x'), '\x1b[31mx\x1b[39m')
  for (const [env, isTerminal] of [
    [{ NO_COLOR: '1' }, true],
    [{ TERM: 'dumb' }, true],
    [{}, false],
  ] as const) {
    assert.equal(painter(env, isTerminal)('red', 'x'), 'x')
  }
})
