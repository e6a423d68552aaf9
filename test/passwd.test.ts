import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { runPasswd, verifyPassword } from '../src/passwd.js'

const CHEAP = { memoryKib: 64, passes: 1 }

/** Runs the command with `input` on a stdin that is no terminal. */
async function piped(...input: (string | Buffer)[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  for (const chunk of input) stdin.write(chunk)
  stdin.end()
  const code = await runPasswd({ stdin, stdout, stderr }, CHEAP)
  stdout.end()
  stderr.end()
  return { code, out: await text(stdout), err: await text(stderr) }
}

describe('passwd without a terminal', () => {
  test('hashes the first line and prints nothing else', async () => {
    const { code, out, err } = await piped('corr', 'ect hörse\r\nsecond line\n')
    assert.equal(code, 0)
    assert.equal(err, '')
    assert.match(out, /^\$argon2id\$\S+\n$/)
    assert.ok(await verifyPassword(out.trim(), 'correct hörse'))
  })
  test('takes a line without its end, however its bytes were cut', async () => {
    const bytes = Buffer.from('hörse')
    const { out } = await piped(bytes.subarray(0, 2), bytes.subarray(2))
    assert.ok(await verifyPassword(out.trim(), 'hörse'))
  })
  test('refuses none, an empty one and one that is too long', async () => {
    for (const input of ['', '\n', `${'x'.repeat(1025)}\n`]) {
      const { code, out, err } = await piped(input)
      assert.equal(code, 1)
      assert.equal(out, '')
      assert.match(err, /^passwd: \S.*\n$/)
    }
  })
})

// ---------------------------------------------------------------- on a real terminal

interface Pty {
  onData(listener: (text: string) => void): void
  onExit(listener: (event: { exitCode: number }) => void): void
  write(text: string): void
}
interface PtyModule {
  spawn(file: string, args: string[], options: { cols: number; rows: number; cwd: string }): Pty
}
/** node-pty is an optional package. */
function loadPty(): PtyModule | undefined {
  try {
    return createRequire(import.meta.url)('node-pty') as PtyModule
  } catch {
    return undefined
  }
}
const pty = loadPty()

/** Types each answer when its question is on the screen. */
function typed(answers: readonly (readonly [question: string, keys: string])[]): Promise<{ code: number; screen: string }> {
  const root = join(import.meta.dirname, '..')
  const script = "import { runPasswd } from './src/passwd.ts'; process.exitCode = await runPasswd(process, { memoryKib: 64, passes: 1 })"
  const terminal = pty?.spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { cols: 200, rows: 30, cwd: root })
  assert.ok(terminal)
  let screen = ''
  const waiting = [...answers]
  return new Promise((resolve) => {
    terminal.onData((text) => {
      screen += text
      const [next] = waiting
      if (!next || !screen.endsWith(next[0])) return
      waiting.shift()
      terminal.write(next[1])
    })
    terminal.onExit(({ exitCode }) => resolve({ code: exitCode, screen }))
  })
}

describe('passwd on a terminal', { skip: pty ? false : 'node-pty is not installed' }, () => {
  test('asks twice, shows nothing that is typed, and ends by itself', async () => {
    const { code, screen } = await typed([
      ['Password: ', 'wrong\u0015secrez\u007ft-ö\r'],
      ['Once more: ', 'secret-ö\r'],
    ])
    assert.equal(code, 0)
    assert.doesNotMatch(screen, /wrong|secre/)
    const hash = /\$argon2id\$\S+/.exec(screen)?.[0] ?? ''
    assert.ok(await verifyPassword(hash, 'secret-ö'))
  })
  test('refuses two that differ', async () => {
    const { code, screen } = await typed([
      ['Password: ', 'one\r'],
      ['Once more: ', 'two\r'],
    ])
    assert.equal(code, 1)
    assert.match(screen, /not the same/)
    assert.doesNotMatch(screen, /argon2id/)
  })
  test('gives up at Ctrl-C', async () => {
    const { code, screen } = await typed([['Password: ', 'abc\u0003']])
    assert.equal(code, 130)
    assert.doesNotMatch(screen, /argon2id/)
  })
})
