import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type EditorState, MAX_LINE_BYTES, newLine } from '../../src/guard/edit-state.js'
import { press } from '../../src/guard/editor.js'
import { EMPTY_HISTORY, remember } from '../../src/guard/history.js'
import { KeyDecoder } from '../../src/guard/keys.js'

const HISTORY = ['ls victim', 'echo one two', 'cat /etc/hosts'].reduce(remember, EMPTY_HISTORY)

/** Types bytes; stops at the first effect but a bell. */
function type(bytes: string, from: EditorState = newLine(undefined, HISTORY)): { state: EditorState; effect: string | undefined; bells: number } {
  const decoder = new KeyDecoder()
  decoder.feed(Buffer.from(bytes))
  let state = from
  let bells = 0
  for (let key = decoder.next(); key !== undefined; key = decoder.next()) {
    const step = press(state, key)
    state = step.state
    if (step.effect === 'bell') bells += 1
    else if (step.effect !== undefined) return { state, effect: step.effect, bells }
  }
  return { state, effect: undefined, bells }
}
/** The text with a bar at the cursor. */
function shown(bytes: string): string {
  const { state } = type(bytes)
  return `${state.text.slice(0, state.cursor)}|${state.text.slice(state.cursor)}`
}

test('the editor does what readline fingers expect', () => {
  const table: [string, string][] = [
    ['abc\x01x', 'x|abc'],
    ['abc\x02\x02x', 'ax|bc'],
    ['abc\x01\x06x\x05y', 'axbcy|'],
    ['abc\x1b[D\x1b[3~', 'ab|'],
    ['one two\x17', 'one |'],
    ['one two-x\x1b\x7f', 'one two-|'],
    ['one two\x01\x1bd', '| two'],
    ['one two\x01\x1bf!', 'one!| two'],
    ['one two\x1bb!', 'one !|two'],
    ['one two\x02\x02\x15', '|wo'],
    ['one two\x01\x06\x0b', 'o|'],
    ['rm victim\x15: x;\x19', ': x;rm victim|'],
    ['a b\x17\x17\x19', 'a b|'],
    ['one\x15two\x15\x19\x1by', 'one|'],
    ['mr\x14', 'rm|'],
    ['mr\x14 victim', 'rm victim|'],
    ['ab\x01\x06\x14', 'ba|'],
    ['RM\x1bb\x1bl victim', 'rm victim|'],
    ['one two\x01\x1bu\x1bc', 'ONE Two|'],
    ['one two\x1bt', 'two one|'],
    ['abc\x1f', '|'],
    ['abc\x01x\x05y\x1f', 'xabc|'],
    ['one two\x17\x18\x15', 'one two|'],
    ['é你😀\x7f', 'é你|'],
    ['e\u0301\x7fx', 'x|'],
    ['👨‍👩‍👧!\x02\x02\x0b', '|'],
    ['\x10', 'cat /etc/hosts|'],
    ['\x10\x10\x0e', 'cat /etc/hosts|'],
    ['new\x10\x0e', 'new|'],
    ['\x10x\x10\x0e', 'cat /etc/hostsx|'],
    ['\x1b<', 'ls victim|'],
    ['\x1b.', '/etc/hosts|'],
    ['x \x1b.\x1b.', 'x two|'],
    ['\x12one', 'echo |one two'],
    ['\x12vic\x01\x1bd\x04rm ', 'rm |victim'],
    ['abc\x12vic\x07', 'abc|'],
    ['\x12echx\x7f\x1b[C', 'e|cho one two'],
    ['a\x16\nb', 'a\nb|'],
    ['\x1b[200~one\ntwo\x1b[201~\x1b[Ax', 'onex|\ntwo'],
    ['\x1b[200~one\ntwo\x1b[201~\x01x', 'one\nx|two'],
    ['r\x16\x03\x7fm victim', 'rm victim|'],
    ['ab\x1b[99~c', 'abc|'],
  ]
  for (const [bytes, expected] of table) assert.equal(shown(bytes), expected, JSON.stringify(bytes))
})

test('Enter, Ctrl-J, Ctrl-O, Ctrl-C, Ctrl-D and Tab are left to the caller', () => {
  assert.equal(type('ls\r').effect, 'accept')
  assert.equal(type('ls\n').effect, 'accept')
  assert.equal(type('\x12vic\r').state.text, 'ls victim')
  assert.equal(type('\x12vic\r').effect, 'accept')
  assert.equal(type('ls\x03').effect, 'interrupt')
  assert.equal(type('\x12x\x03').effect, 'interrupt')
  assert.equal(type('\x04').effect, 'eof')
  assert.equal(type('x\x01\x04').state.text, '')
  assert.equal(type('l\t').effect, 'complete')
  const operate = type('\x1b<\x0f')
  assert.equal(operate.effect, 'accept')
  assert.equal(newLine(operate.state).text, 'echo one two')
})

test('a line beyond 64 KiB is refused whole and remembered as too long', () => {
  const big = 'x'.repeat(MAX_LINE_BYTES)
  const full = type(big)
  assert.equal(full.state.text.length, MAX_LINE_BYTES)
  assert.equal(full.state.overflow, false)
  const over = type(`${big}y`)
  assert.equal(over.state.overflow, true)
  assert.equal(type('é'.repeat(MAX_LINE_BYTES / 2)).state.overflow, false)
  assert.equal(type(`${'é'.repeat(MAX_LINE_BYTES / 2)}a`).state.overflow, true)
})

test('history keeps its limits and drops repeats and blanks', () => {
  let history = EMPTY_HISTORY
  for (let i = 0; i < 3000; i++) history = remember(history, `line ${i}`)
  assert.equal(history.entries.length, 1000)
  assert.equal(history.entries.at(-1), 'line 2999')
  assert.equal(remember(history, 'line 2999'), history)
  assert.equal(remember(history, '  '), history)
  for (let i = 0; i < 100; i++) history = remember(history, `${i}${'x'.repeat(60_000)}`)
  assert.ok(history.units <= 1024 * 1024)
})

test('typing, moving and deleting agree with a plain list of characters', () => {
  const action = fc.oneof(fc.constantFrom('\x02', '\x06', '\x01', '\x05', '\x7f', '\x04'), fc.constantFrom('a', 'b', ' ', 'é', '你', '😀'))
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const model: string[] = ['Z']
      let at = 1
      let state = type('Z').state
      for (const bytes of actions) {
        state = type(bytes, state).state
        if (bytes === '\x02') at = Math.max(0, at - 1)
        else if (bytes === '\x06') at = Math.min(model.length, at + 1)
        else if (bytes === '\x01') at = 0
        else if (bytes === '\x05') at = model.length
        else if (bytes === '\x7f') at > 0 && model.splice(--at, 1)
        else if (bytes === '\x04') model.splice(at, 1)
        else model.splice(at++, 0, bytes)
      }
      assert.equal(state.text, model.join(''))
      assert.equal(state.cursor, model.slice(0, at).join('').length)
    }),
    { numRuns: 1500 },
  )
})

test('no keys put the cursor outside the text or make undo, kills or drafts grow without bound', () => {
  const key = fc.oneof(
    fc.constantFrom('\x1b', '\x1b[A', '\x1b[B', '\x1b.', '\x1by', '\x1b[200~a\nb\x1b[201~', '\x12', '\x07', '\x18', '\x16'),
    fc.integer({ min: 1, max: 31 }).map((code) => String.fromCharCode(code)),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
    fc.constantFrom('\x1bb', '\x1bf', '\x1bd', '\x1bu', '\x1bt', '\x1b\x7f', '\x1b\\', '\x1br'),
  )
  fc.assert(
    fc.property(fc.array(key, { maxLength: 80 }), (keys) => {
      let state = newLine(undefined, HISTORY)
      const decoder = new KeyDecoder()
      for (const bytes of keys) {
        decoder.feed(Buffer.from(bytes))
        for (let next = decoder.next(); next !== undefined; next = decoder.next()) {
          state = press(state, next).state
          assert.ok(state.cursor >= 0 && state.cursor <= state.text.length)
          assert.ok(state.kills.length <= 10 && state.undo.length <= 257)
        }
      }
    }),
    { numRuns: 800 },
  )
})

test('undoing everything gives back the empty line', () => {
  let { state } = type('one two\x17\x19\x01x\x1bd\x14\x1bu\x1b[200~p\nq\x1b[201~')
  for (let i = 0; i < 50; i++) state = type('\x1f', state).state
  assert.equal(state.text, '')
})
