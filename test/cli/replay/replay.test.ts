import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DrawingFilter } from '../../../src/cli/replay/filter.js'
import { Playback } from '../../../src/cli/replay/playback.js'
import { replayInTerminal } from '../../../src/cli/replay/screen.js'
import { Timeline } from '../../../src/cli/replay/timeline.js'
import { FakeTerminal } from '../support/run.js'

const event = (seconds: number, code: string, data: string) => ({ seconds, code, data })
const filtered = (text: string) => new DrawingFilter().push(text)

test('what draws passes the filter', () => {
  const drawing = 'a\x1b[31;1mred\x1b[0m\r\n\x1b[2J\x1b[H\x1b[10;20Hx\x1b[K\x1b[?1049h\x1b[?25l\x1b7\x1b8\x1b(0q\x1b(B\t\b\x1b[1;24r'
  assert.equal(filtered(drawing), drawing)
})

test('what would make the terminal answer, or touch its clipboard, title or window, does not', () => {
  const hostile: readonly string[] = [
    '\x1b]52;c;ZXZpbA==\x07',
    '\x1b]0;title\x1b\\',
    '\x1b[c',
    '\x1b[6n',
    '\x1b[5n',
    '\x1b[>c',
    '\x1b[21t',
    '\x1bP$qm\x1b\\',
    '\x1b_G...\x1b\\',
    '\x1bZ',
    '\x05',
    '\x9c',
    '\x9d52;c;x\x9c',
    '\x1b[?2004h',
    '\x1b[?1000h',
    '\x1b[?1u',
    '\x1b]8;;http://x\x07',
    '\x1b[0$p',
  ]
  for (const text of hostile) {
    const rest = filtered(`a${text}b`)
    assert.ok(!/[\x1b\x05\x07\x80-\x9f]/.test(rest.replaceAll('\x1bc', '')), JSON.stringify([text, rest]))
    assert.ok(rest.startsWith('a') && rest.endsWith('b'), JSON.stringify([text, rest]))
  }
})

test('the filter says the same however the text is cut', () => {
  const piece = fc.constantFrom('\x1b', '[', ']', '52;c;x', '\x07', 'c', '6n', '\x1b[31m', '\x1bP', '\\', 'text', '\x9b', '?1049h', '二', '\x18')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(60), { maxLength: 5 }), (pieces, cuts) => {
      const text = pieces.join('')
      const filter = new DrawingFilter()
      const sorted = [...new Set(cuts.filter((cut) => cut < text.length))].sort((a, b) => a - b)
      const parts = [0, ...sorted].map((from, i) => text.slice(from, sorted[i] ?? text.length))
      assert.equal(parts.map((part) => filter.push(part)).join(''), filtered(text))
    }),
    { numRuns: 500 },
  )
})

test('no query and no control string gets through, whatever is made of them', () => {
  const piece = fc.constantFrom('\x1b', '[', ']', 'P', '_', '^', 'X', 'c', 'n', 't', '0', ';', '?', '>', '$', '\x07', '\x9b', '\x9d', '\\', 'Z', ' ')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), (pieces) => {
      assert.doesNotMatch(filtered(pieces.join('')), /\x1b[\]P_^XZ]|\x1b\[[0-9;?>$ ]*[cntp]|[\x05\x07\x80-\x9f]/)
    }),
    { numRuns: 2000 },
  )
})

test('silence is shortened, and a clock that steps back runs nothing backwards', () => {
  const timeline = new Timeline([event(1, 'o', 'a'), event(61, 'o', 'b'), event(60, 'o', 'c'), event(62, 'o', 'd')], { idleLimitMs: 2000 })
  assert.deepEqual(
    timeline.events.map((one) => one.atMs),
    [1000, 3000, 3000, 4000],
  )
  assert.equal(timeline.durationMs, 4000)
  assert.deepEqual([timeline.countAt(999), timeline.countAt(1000), timeline.countAt(3500)], [0, 1, 3])
})

test('keys move, pause and change the speed', () => {
  const timeline = new Timeline([event(0, 'o', 'a'), event(10, 'm', 'ls'), event(20, 'o', 'b'), event(100, 'o', 'c')])
  const playback = new Playback(timeline, { speed: 1, startMs: 0, now: 0 })
  assert.equal(playback.position(3000), 3000)
  playback.press('space', 3000)
  assert.equal(playback.position(9000), 3000)
  playback.press('space', 9000)
  playback.press('up', 9000)
  assert.equal(playback.position(10_000), 5000)
  playback.press('right', 10_000)
  assert.equal(playback.position(10_000), 10_000)
  playback.press('.', 10_000)
  assert.deepEqual([playback.position(99_000), playback.paused], [20_000, true])
  playback.press('[', 99_000)
  assert.equal(playback.position(99_000), 10_000)
  playback.press('9', 99_000)
  assert.equal(playback.position(99_000), 90_000)
  playback.press('end', 99_000)
  assert.equal(playback.position(99_000), 100_000)
  playback.press('left', 99_000)
  playback.press('home', 99_000)
  assert.equal(playback.press('x', 99_000), 'none')
  assert.equal(playback.press('q', 99_000), 'quit')
})

test('a replay draws in time, stands at the end, redraws on a jump, and gives the terminal back', async () => {
  const terminal = new FakeTerminal()
  const timeline = new Timeline([event(0, 'o', 'first '), event(0.05, 'o', 'second \x1b]52;c;eA==\x07'), event(0.1, 'o', 'third')])
  const done = replayInTerminal(terminal.streams({ TERM: 'xterm' }), timeline, { speed: 1, startMs: 0, paused: false, title: 'alice' })
  const shown = await terminal.until(/third[\s\S]*00:00 \/ 00:00/)
  assert.match(shown, /first second third/)
  assert.doesNotMatch(shown, /52;c/)
  terminal.type('\x1b[H')
  await terminal.until(/third[\s\S]*first /)
  terminal.type('q')
  await done
  assert.deepEqual(terminal.stdin.raw, [true, false])
  assert.ok(terminal.shown.endsWith('\x1b[?1049l\x1b[?25h'))
})

test('a terminal that goes away ends a replay', async () => {
  const terminal = new FakeTerminal()
  const timeline = new Timeline([event(0, 'o', 'x'), event(3600, 'o', 'y')])
  const done = replayInTerminal(terminal.streams({}), timeline, { speed: 1, startMs: 0, paused: false, title: '' })
  await terminal.until('x')
  terminal.stdin.end()
  await done
  assert.deepEqual(terminal.stdin.raw, [true, false])
})
