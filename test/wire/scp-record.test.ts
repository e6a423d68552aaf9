import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatScpRecord, parseScpRecord, ScpError, type ScpRecord } from '../../src/wire/scp-record.js'

const parse = (text: string): ScpRecord => parseScpRecord(Buffer.from(text, 'latin1'))

test('records are read as scp writes them', () => {
  assert.deepEqual(parse('C0644 12 a b'), { kind: 'file', mode: 0o644, size: 12, name: Buffer.from('a b') })
  assert.deepEqual(parse('D0755 0 dir'), { kind: 'directory', mode: 0o755, name: Buffer.from('dir') })
  assert.deepEqual(parse('T1600000000 0 1600000001 0'), { kind: 'times', mtime: 1600000000, atime: 1600000001 })
  assert.deepEqual(parse('E'), { kind: 'end' })
  assert.deepEqual(parse('\x01scp: no'), { kind: 'warning', text: 'scp: no' })
})
test('a name that leads elsewhere is no name', () => {
  for (const name of ['.', '..', '../x', 'a/b', '/etc/passwd', '', 'x\0y']) assert.throws(() => parse(`C0644 1 ${name}`), ScpError, name)
})
test('what is no record is refused', () => {
  for (const text of [
    '',
    'X',
    'C644 1 x',
    'C0644 -1 x',
    'C0644 1',
    'C0899 1 x',
    'C0644 99999999999999999 x',
    'C0644 9999999999999999 x',
    'E ',
    'T1 0',
    'T-1 0 1 0',
    'D0755 x y',
  ])
    assert.throws(() => parse(text), ScpError, text)
})
test('a newline in a name cannot end its record', () => {
  const bytes = formatScpRecord({ kind: 'file', mode: 0o644, size: 1, name: Buffer.from('a\nC0777 1 evil') })
  assert.equal(bytes.indexOf(0x0a), bytes.length - 1)
  assert.equal(formatScpRecord({ kind: 'warning', text: 'a\nb\x1b[2J' }).toString(), '\x01a b [2J\n')
})
test('what is written is read again', () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).map((bytes) => Buffer.from(bytes.filter((byte) => ![0, 0x0a, 0x2f].includes(byte))))
  fc.assert(
    fc.property(name, fc.nat(0o7777), fc.nat(), (each, mode, size) => {
      fc.pre(each.length > 0 && !['.', '..'].includes(each.toString('latin1')))
      const record: ScpRecord = { kind: 'file', mode, size, name: each }
      assert.deepEqual(parseScpRecord(formatScpRecord(record).subarray(0, -1)), record)
    }),
  )
})
test('any bytes are a record or an ScpError, quickly', () => {
  const start = performance.now()
  const line = fc.oneof(
    fc.uint8Array({ maxLength: 4096 }),
    fc.string({ maxLength: 60 }).map((text) => Buffer.from(`C0644 1${text}`)),
    fc.string({ maxLength: 60 }).map((text) => Buffer.from(`T${text}`)),
  )
  fc.assert(
    fc.property(line, (bytes) => {
      try {
        parseScpRecord(Buffer.from(bytes))
      } catch (error) {
        assert.ok(error instanceof ScpError)
      }
    }),
    { numRuns: 3000 },
  )
  assert.throws(() => parse(`C0644 ${'1 '.repeat(2000)}/`), ScpError)
  assert.ok(performance.now() - start < 8000)
})
