import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newLine } from '../../src/guard/edit-state.js'
import { press } from '../../src/guard/editor.js'
import { KeyDecoder } from '../../src/guard/keys.js'
import { CONTINUATION } from '../../src/guard/layout.js'
import { Screen, type View } from '../../src/guard/screen.js'
import { Terminal } from './support/terminal.js'

const PROMPT = { text: '\x1b[32mp\x1b[m$ ', cells: 3 }
const view = (text: string, cursor = text.length): View => ({ prompt: PROMPT, text, cursor })

/** What a terminal shows when the text is simply written to it; it wraps by itself. */
function written(shown: View, columns: number): { lines: string[]; place: [number, number] } {
  const visible = (text: string, at: Terminal): void => {
    let bare = true
    for (const character of text) {
      const code = character.codePointAt(0) ?? 0
      if (bare && /\p{M}/u.test(character)) at.write('\u25cc')
      bare = code < 0x20 || code === 0x7f
      if (character === '\n') at.write(`${at.column >= columns ? ' ' : ''}\r\n${CONTINUATION}`)
      else if (character === '\t') for (let n = 8 - (at.place[1] % 8); n > 0; n--) at.write(' ')
      else if (code < 0x20 || code === 0x7f) at.write(code === 0x7f ? '^?' : `^${String.fromCharCode(code + 0x40)}`)
      else at.write(character)
    }
  }
  const whole = new Terminal(columns).write('p$ ')
  visible(shown.text, whole)
  const upTo = new Terminal(columns).write('p$ ')
  visible(shown.text.slice(0, shown.cursor), upTo)
  return { lines: whole.lines, place: upTo.place }
}

test('a character typed at the end is drawn as just that character', () => {
  const screen = new Screen(80, 24)
  screen.render(view('l'))
  assert.equal(screen.render(view('ls')), 's')
  assert.equal(screen.render(view('lsé')), 'é')
  assert.equal(screen.render(view('lsé你')), '你')
})

test('moving and deleting near the cursor is drawn with a few bytes', () => {
  const screen = new Screen(80, 24)
  screen.render(view('abcdef'))
  assert.equal(screen.render(view('abcdef', 5)), '\b')
  assert.equal(screen.render(view('abcdef', 6)), '\x1b[1C')
  assert.equal(screen.render(view('abcde', 5)), '\b\x1b[K')
  assert.equal(screen.render(view('abcdeX', 6)), 'X')
})

test('a row filled to the edge leaves the cursor at the start of the next one', () => {
  const screen = new Screen(10, 24)
  const terminal = new Terminal(10)
  terminal.write(screen.render(view('123456')))
  terminal.write(screen.render(view('1234567')))
  assert.deepEqual([terminal.row, terminal.column], [1, 0])
  terminal.write(screen.render(view('12345678')))
  assert.deepEqual(terminal.lines, ['p$ 1234567', '8'])
  terminal.write(screen.render(view('123456')))
  assert.deepEqual(terminal.lines, ['p$ 123456'])
  assert.deepEqual(terminal.place, [0, 9])
})

test('a wide character that does not fit goes to the next row whole', () => {
  const terminal = new Terminal(10)
  terminal.write(new Screen(10, 24).render(view('123456你好')))
  assert.deepEqual(terminal.lines, ['p$ 123456', '你好'])
  assert.deepEqual(terminal.place, [1, 4])
})

test('leave and erase put the cursor where the caller expects it', () => {
  const screen = new Screen(10, 24)
  const terminal = new Terminal(10)
  terminal.write(screen.render(view('123456789\nab', 2)))
  terminal.write(`${screen.leave()}out`)
  assert.deepEqual(terminal.lines, ['p$ 1234567', '89', '> ab', 'out'])
  terminal.write('\r\n')
  terminal.write(screen.render(view('123456789\nab', 2)))
  terminal.write(`${screen.erase()}gone`)
  assert.deepEqual(terminal.lines, ['p$ 1234567', '89', '> ab', 'out', 'gone'])
  const full = new Screen(10, 24)
  const at = new Terminal(10)
  at.write(`${full.render(view('1234567'))}${full.leave()}out`)
  assert.deepEqual(at.lines, ['p$ 1234567', 'out'])
})

test('a line taller than the terminal shows the rows around the cursor and scrolls nothing away needlessly', () => {
  const text = Array.from({ length: 100 }, (_, i) => `line ${i}`).join('\n')
  const screen = new Screen(20, 5)
  const terminal = new Terminal(20, 5)
  terminal.write(screen.render(view(text)))
  assert.deepEqual(terminal.lines, ['> line 95', '> line 96', '> line 97', '> line 98', '> line 99'])
  terminal.write(screen.render(view(text, 0)))
  assert.deepEqual(terminal.lines, ['p$ line 0', '> line 1', '> line 2', '> line 3', '> line 4'])
  assert.deepEqual(terminal.place, [0, 3])
  terminal.write(screen.render(view('x')))
  assert.deepEqual(terminal.lines, ['p$ x'])
  assert.equal(terminal.scrolled, 0)
})

test('after a resize the line stands once, when the terminal has re-wrapped it', () => {
  const screen = new Screen(20, 24)
  const text = '0123456789012345678901234567890'
  screen.render(view(text))
  // What a terminal of 10 columns makes of the two rows it had.
  const terminal = new Terminal(10).write(`p$ ${text}`)
  terminal.write(screen.resize(10, 24, view(text)))
  assert.deepEqual(terminal.lines, new Terminal(10).write(`p$ ${text}`).lines)
})

test('whatever is typed, the terminal shows what it would show had the line been written at once', () => {
  const key = fc.oneof(
    fc.constantFrom('\x02', '\x06', '\x01', '\x05', '\x7f', '\x04', '\x17', '\x0b', '\x15', '\x19', '\x1f', '\x1b[A', '\x1b[B', '\x14'),
    fc.constantFrom('a', 'bc', ' ', 'é', '你', '好吗', '😀', 'e\u0301', '\u0301', '\x16\x03', '\x16\t', '\x16\n', 'x'.repeat(9), '\x1b[200~p\nq\tr\x1b[201~'),
  )
  fc.assert(
    fc.property(fc.array(key, { maxLength: 50 }), fc.integer({ min: 8, max: 24 }), (keys, columns) => {
      const screen = new Screen(columns, 1000)
      const terminal = new Terminal(columns)
      const decoder = new KeyDecoder()
      let state = newLine()
      terminal.write(screen.render({ prompt: PROMPT, text: '', cursor: 0 }))
      for (const bytes of keys) {
        decoder.feed(Buffer.from(bytes))
        for (let next = decoder.next(); next !== undefined; next = decoder.next()) state = press(state, next).state
        const shown = { prompt: PROMPT, text: state.text, cursor: state.cursor }
        terminal.write(screen.render(shown))
        const expected = written(shown, columns)
        assert.deepEqual(terminal.lines, expected.lines, JSON.stringify(keys))
        assert.deepEqual(terminal.place, expected.place, JSON.stringify(keys))
      }
      assert.deepEqual(terminal.unknown, [])
    }),
    { numRuns: 1200 },
  )
})
