import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MarkScanner } from '../../src/guard/marks.js'

const P = '1'.repeat(32)
const N = '2'.repeat(32)
const PROMPT = `\x1b]7777;${P}\x07`
const mark = (payload: string, nonce = N) => `\x1b]7777;${nonce};${payload};${nonce}\x07`

/** Output and marks as one text; output of neighbouring events is joined. */
function scan(chunks: readonly (string | Buffer)[], expected: readonly string[] = [N]): string {
  const scanner = new MarkScanner(P)
  for (const nonce of expected) scanner.expect(nonce)
  let out = ''
  for (const chunk of chunks) {
    for (const event of scanner.push(Buffer.from(chunk))) {
      if (event.kind === 'output') out += event.bytes.toString('latin1')
      else if (event.kind === 'prompt') out += '<P>'
      else out += `<M ${event.payload?.toString('latin1')}>`
    }
  }
  return out + scanner.flush().toString('latin1')
}

test('marks are found and taken out wherever the chunks are cut', () => {
  const stream = Buffer.from(`a\x1b[1mb${mark('0;x;1:\x07\x1b]7777;y')}c${PROMPT}d\x1b]0;t\x07e\x1b`)
  const whole = 'a\x1b[1mb<M 0;x;1:\x07\x1b]7777;y>c<P>d\x1b]0;t\x07e\x1b'
  assert.equal(scan([stream]), whole)
  for (let cut = 1; cut < stream.length; cut++) assert.equal(scan([stream.subarray(0, cut), stream.subarray(cut)]), whole, `cut at ${cut}`)
  assert.equal(scan(Array.from(stream, (byte) => Buffer.from([byte]))), whole)
})

test('a mark counts once, and only with a nonce that is expected', () => {
  assert.equal(scan([mark('one') + mark('two')]), `<M one>${mark('two')}`)
  const forged = mark('0;x', '3'.repeat(32))
  assert.equal(scan([forged]), forged)
  assert.equal(scan([`\x1b]7777;${N}\x07`]), `\x1b]7777;${N}\x07`)
  assert.equal(scan([`\x1b]7777;${P};x;${P}\x07`]), `\x1b]7777;${P};x;${P}\x07`)
})

test('an empty payload is a payload', () => {
  assert.equal(scan([`\x1b]7777;${N};;${N}\x07x`]), '<M >x')
  assert.equal(scan([`\x1b]7777;${N};${N}\x07x`]), '<M >x')
})

test('a forged beginning holds back less than a header and never what follows', () => {
  const scanner = new MarkScanner(P)
  scanner.expect(N)
  assert.deepEqual(scanner.push(Buffer.from('\x1b]7777;')), [])
  const events = scanner.push(Buffer.from('hello'))
  assert.equal(events.map((event) => (event.kind === 'output' ? event.bytes.toString() : '')).join(''), '\x1b]7777;hello')
})

test('a payload that never ends is given up and bounded', () => {
  const scanner = new MarkScanner(P)
  scanner.expect(N)
  scanner.push(Buffer.from(`\x1b]7777;${N};`))
  let events: ReturnType<MarkScanner['push']> = []
  for (let i = 0; i < 200 && events.length === 0; i++) events = scanner.push(Buffer.alloc(1024, 'x'))
  assert.deepEqual(events, [{ kind: 'mark', nonce: N, payload: undefined }])
})

test('output without marks comes out byte for byte, however cut', () => {
  const piece = fc.oneof(
    fc.constantFrom('\x1b', '\x1b]', '\x1b]7777', '\x1b]7777;', `\x1b]7777;${'1'.repeat(31)}`, '\x07', `;${N}`, `\x1b]7777;${'9'.repeat(32)};`),
    fc.string({ maxLength: 10 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join('')
      if (text.includes(PROMPT) || text.includes(`\x1b]7777;${N};`)) return
      assert.equal(scan(pieces.map((part) => Buffer.from(part))), Buffer.from(text).toString('latin1'))
    }),
    { numRuns: 1500 },
  )
})

test('bulk output without ESC is passed on uncopied', () => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const [event] = new MarkScanner(P).push(chunk)
  assert.ok(event?.kind === 'output' && event.bytes === chunk)
})
