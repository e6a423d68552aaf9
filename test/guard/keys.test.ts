import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Key, KeyDecoder, MAX_PASTE_BYTES } from '../../src/guard/keys.js'

function decode(...chunks: (string | Buffer)[]): Key[] {
  const decoder = new KeyDecoder()
  const keys: Key[] = []
  for (const chunk of chunks) {
    decoder.feed(Buffer.from(chunk))
    for (let key = decoder.next(); key !== undefined; key = decoder.next()) keys.push(key)
  }
  return keys
}
/** Keys as short text: names, and runs of text joined however the chunks cut them. */
function names(keys: readonly Key[]): string {
  let out = ''
  for (const key of keys) {
    if (key.kind === 'text') out += key.text
    else if (key.kind === 'key') out += `<${key.name}>`
    else if (key.kind === 'quoted') out += `<q${JSON.stringify(key.text)}>`
    else if (key.kind === 'paste') out += `<p${JSON.stringify(key.text)}${key.refused ? '!' : ''}${key.overflow ? '+' : ''}>`
    else out += '<!>'
  }
  return out
}

test('the decoder names the keys that fingers know', () => {
  const table: [string, string][] = [
    ['ls -l\r', 'ls -l<enter>'],
    ['\x01\x05\x7f\x08\t\n', '<C-a><C-e><backspace><backspace><tab><enter>'],
    ['\x1b[A\x1bOA\x1b[H\x1b[1~\x1b[7~\x1b[F\x1bOF\x1b[3~', '<up><up><home><home><home><end><end><delete>'],
    ['\x1b[1;5D\x1b[1;3C\x1b[1;2A', '<C-left><M-right><up>'],
    ['\x1bb\x1bB\x1b.\x1b\x7f\x1b\x08', '<M-b><M-b><M-.><M-backspace><M-backspace>'],
    ['\x1f\x12\x14', '<C-_><C-r><C-t>'],
    ['\x16\r\x16\nx', '<q"\\n"><q"\\n">x'],
    ['\x16\x03\x16é', '<q"\\u0003"><q"é">'],
    ['\x1b[200~a\r\nb\tc\x1b[201~d', '<p"a\\nb\\tc">d'],
    ['\x1b[200~a\x03\x1b[Ab\x1b[201~', '<p"a[Ab"!>'],
    ['\x1b[201~x', '<!>x'],
    ['\x1b[[Ax\x1b[?1;2cy', '<!>x<!>y'],
    ['\x00a', '<!>a'],
  ]
  for (const [bytes, expected] of table) assert.equal(names(decode(bytes)), expected, JSON.stringify(bytes))
})

test('keys come out the same wherever the chunks are cut', () => {
  const bytes = Buffer.from('aé你😀\x1b[A\x1b[1;5C\x1bOHx\x1bb\x16é\x1b[200~p\r\nq\x1b[20\x1b[201~z\r')
  const whole = names(decode(bytes))
  for (let cut = 1; cut < bytes.length; cut++) assert.equal(names(decode(bytes.subarray(0, cut), bytes.subarray(cut))), whole, `cut at ${cut}`)
  assert.equal(names(decode(...Array.from(bytes, (byte) => Buffer.from([byte])))), whole)
})

test('invalid UTF-8, overlong forms, surrogates and C1 are refused byte by byte', () => {
  for (const bad of ['ff', 'c080', 'e08080', 'eda080', 'f8888080', '80', 'c29b', 'f4908080']) {
    const keys = decode(Buffer.concat([Buffer.from('a'), Buffer.from(bad, 'hex'), Buffer.from('b')]))
    assert.match(names(keys), /^a(<!>)+b$/, bad)
  }
})

test('a lone ESC waits for the caller and then is the Escape key', () => {
  const decoder = new KeyDecoder()
  decoder.feed(Buffer.from('\x1b'))
  assert.equal(decoder.next(), undefined)
  assert.equal(decoder.escaping, true)
  assert.deepEqual(decoder.settle(), { kind: 'key', name: 'escape' })
  assert.equal(decoder.escaping, false)
  decoder.feed(Buffer.from('[A'))
  assert.deepEqual(decoder.next(), { kind: 'text', text: '[A' })
})

test('an ESC followed by a second one is the Escape key, and the second may begin a sequence', () => {
  assert.equal(names(decode('\x1b\x1b[A')), '<escape><up>')
})

test('a broken sequence does not swallow the Ctrl-C behind it', () => {
  assert.equal(names(decode('\x1b[12\x03')), '<!><C-c>')
  assert.match(names(decode(`\x1b[${'1'.repeat(500)}\x03`)), /<C-c>$/)
})

test('what was not decoded can be taken back as bytes', () => {
  const decoder = new KeyDecoder()
  decoder.feed(Buffer.from('ls\rsecret\x1b['))
  assert.deepEqual(decoder.next(), { kind: 'text', text: 'ls' })
  assert.deepEqual(decoder.next(), { kind: 'key', name: 'enter' })
  assert.equal(decoder.take().toString(), 'secret\x1b[')
  assert.equal(decoder.pending, 0)
})

test('a paste beyond the limit says so and is not kept', () => {
  const decoder = new KeyDecoder()
  decoder.feed(Buffer.from('\x1b[200~'))
  for (let i = 0; i < 160; i++) {
    decoder.feed(Buffer.alloc(64 * 1024, 'x'))
    assert.equal(decoder.next(), undefined)
    assert.ok(decoder.pending < 16)
  }
  decoder.feed(Buffer.from('\x1b[201~ok'))
  const key = decoder.next()
  assert.ok(key?.kind === 'paste' && key.overflow && key.text.length <= MAX_PASTE_BYTES)
  assert.deepEqual(decoder.next(), { kind: 'text', text: 'ok' })
})

test('any bytes in any chunks give keys without control characters in text', () => {
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('\x1b[', '\x1b', '\x1b[200~', '\x1b[201~', '\x1bO', '\x16', 'é', '😀').map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 30 }), (chunks) => {
      for (const key of decode(...chunks)) {
        if (key.kind === 'text') assert.doesNotMatch(key.text, /[\x00-\x1f\x7f-\x9f\ufffd]/)
        if (key.kind === 'paste') assert.doesNotMatch(key.text, /[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]/)
      }
      assert.equal(names(decode(...chunks)), names(decode(Buffer.concat(chunks))))
    }),
    { numRuns: 1500 },
  )
})
