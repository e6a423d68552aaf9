import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EscapeKeys } from '../../../src/cli/terminal/escape.js'
import { readKeys } from '../../../src/cli/terminal/keys.js'
import { progressText } from '../../../src/cli/terminal/progress.js'
import { askSecret, Cancelled, confirm } from '../../../src/cli/terminal/prompt.js'
import { cellsOf } from '../../../src/cli/text/width.js'
import { FakeTerminal } from '../support/run.js'

test('"~" counts at the beginning of a line only, and "~~" is one of it', () => {
  const keys = new EscapeKeys()
  const read = (text: string) => {
    const { send, actions } = keys.push(Buffer.from(text))
    return [send.toString(), ...actions]
  }
  assert.deepEqual(read('a~.b\r'), ['a~.b\r'])
  assert.deepEqual(read('~'), [''])
  assert.deepEqual(read('?'), ['', 'help'])
  assert.deepEqual(read('~~x\r~y'), ['~x\r~y'])
  assert.deepEqual(read('\r~.ignored'), ['\r', 'disconnect'])
})

test('without a "~" at the beginning of a line every byte goes through, however it is cut', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (bytes, cut) => {
      const text = Buffer.from(bytes.map((byte) => (byte === 0x7e ? 0x61 : byte)))
      const keys = new EscapeKeys()
      const sent = [text.subarray(0, cut), text.subarray(cut)].map((part) => keys.push(part).send)
      assert.deepEqual(Buffer.concat(sent), text)
    }),
  )
})

test('keys are read by name, and unknown sequences are nothing', () => {
  assert.deepEqual(readKeys('\x1b[A\x1b[1;2C q\x1b[99~\x1bOD\r'), ['up', 'shift-right', 'space', 'q', 'left', 'enter'])
  assert.deepEqual(readKeys('\x1b'), ['escape'])
})

test('reading keys ends for any bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => readKeys(Buffer.from(bytes)).length <= bytes.length))
})

test('a progress line is never wider than its terminal', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.nat(200),
      fc.nat(1e12),
      fc.option(fc.nat(1e12), { nil: undefined }),
      fc.nat(1e7),
      (name, width, bytes, total, ms) => {
        const printable = name.replace(/[\p{Cc}\p{Cf}]/gu, '')
        assert.ok(cellsOf(progressText({ name: printable, bytes, total, ms }, width)) <= width)
      },
    ),
  )
})

test('a secret is not shown, can be mended, and the terminal is given back', async () => {
  const terminal = new FakeTerminal()
  const answer = askSecret(terminal.streams({}), 'Password: ')
  await terminal.until('Password: ')
  terminal.type('wrong\x15sekretx\x7f')
  terminal.type('\r')
  assert.equal(await answer, 'sekret')
  assert.equal(terminal.shown, 'Password: \n')
  assert.deepEqual(terminal.stdin.raw, [true, false])
})

test('Ctrl-C at a secret gives up, and the terminal is given back', async () => {
  const terminal = new FakeTerminal()
  const answer = askSecret(terminal.streams({}), 'Password: ')
  terminal.type('abc\x03')
  await assert.rejects(answer, Cancelled)
  assert.deepEqual(terminal.stdin.raw, [true, false])
})

test('a question is yes only for yes', async () => {
  for (const [typed, expected] of [
    ['y', true],
    ['Yes', true],
    ['', false],
    ['nope', false],
  ] as const) {
    const terminal = new FakeTerminal()
    const answer = confirm(terminal.streams({}), 'Go on?')
    await terminal.until('[y/N]')
    terminal.type(`${typed}\r`)
    assert.equal(await answer, expected, typed)
  }
})
