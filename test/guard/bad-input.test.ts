/**
 * Bytes that no person means to type, in every state: the machine ends in a state that is known, nothing reaches the shell that was
 * not vetted and kept, nothing reaches the terminal outside of RUN, and the next line works.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { RemoteProcess } from '../../src/core/types.js'
import type { GuardEvent, LineDecision } from '../../src/guard/parts.js'
import { openGuardedShell } from '../../src/guard/shell.js'
import { FakeTarget } from './support/fake-target.js'
import { HandClock, turns } from './support/hand-clock.js'
import { decide, RULE } from './support/session.js'

/** A shell in memory; what was kept by the audit, and the way to hold that back. */
class Bench {
  readonly target = new FakeTarget()
  readonly clock = new HandClock()
  readonly kept: GuardEvent[] = []
  readonly decided: string[] = []
  decision: ((line: string) => LineDecision) | undefined
  holds = false
  broken = false
  #waiting: (() => void)[] = []
  shell: RemoteProcess | undefined
  shown = ''

  async open(): Promise<void> {
    const opening = openGuardedShell({
      exec: this.target.exec,
      pty: { term: 'xterm', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes: {} },
      user: 'alice',
      targetLabel: 'pod',
      rule: { name: 'r', commands: RULE },
      confirmWord: 'pod',
      decide: (line) => {
        this.decided.push(line)
        return (this.decision ?? decide)(line)
      },
      approve: (_line, _decision, _where, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      record: async (event) => {
        if (this.broken) throw new OpsError('AUDIT_UNAVAILABLE', 'the disk is full')
        if (this.holds) await new Promise<void>((resolve) => this.#waiting.push(resolve))
        return { seq: this.kept.push(event) }
      },
      env: {},
      signal: new AbortController().signal,
      clock: this.clock,
    })
    this.shell = await opening
    this.shell.stdout.on('data', (chunk: Buffer) => {
      this.shown = (this.shown + chunk.toString('utf8')).slice(-100_000)
    })
    this.shell.exit.catch(() => {})
  }
  /** Waits for back-pressure, as a connection does. */
  async types(bytes: Buffer | string): Promise<void> {
    const all = Buffer.from(bytes)
    for (let at = 0; at < all.length; at += 32_768) {
      if (this.shell?.stdin.write(all.subarray(at, at + 32_768)) === false) await turns()
    }
    await turns()
  }
  async settle(): Promise<void> {
    this.holds = false
    this.broken = false
    this.decision = undefined
    for (const go of this.#waiting.splice(0)) go()
    for (let i = 0; i < 8; i++) {
      this.target.finish()
      await turns()
      await this.clock.pass(200)
    }
  }
  /** Lines of the user that went into the shell. */
  get ran(): string[] {
    return this.target.lines.flatMap((line) => /eval '((?:[^']|'\\'')*)'/.exec(line)?.[1]?.replaceAll("'\\''", "'") ?? [])
  }
  get typed(): Buffer {
    return Buffer.concat(this.target.typed)
  }
  /** Nothing ran that had not been decided and kept before. */
  checkRan(): void {
    const allowed = this.kept.flatMap((event) => (event.type === 'command' && (event.verdict === 'allow' || event.verdict === 'approved') ? [event.line] : []))
    assert.deepEqual(
      this.ran.filter((line) => !line.startsWith('exit')),
      allowed,
    )
  }
}

const INPUTS: Readonly<Record<string, Buffer>> = {
  'invalid UTF-8': Buffer.from([0x61, 0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf5, 0x62, 0xe2, 0x82]),
  NUL: Buffer.from('a\0\0b'),
  'C0 and C1 controls': Buffer.from('a\x02\x05\x06\x07\x0e\x0f\x13\x11\x14\x16\x1e\x1f\x7f\u0085\u009b31m'),
  'Ctrl-C': Buffer.from('x\x03'),
  'Ctrl-Z': Buffer.from('x\x1a'),
  'Ctrl-D': Buffer.from('x\x04'),
  'Ctrl-\\': Buffer.from('x\x1c'),
  'all four again and again': Buffer.from('x\x03x\x1ax\x04x\x1c'.repeat(200)),
  'halves of escape sequences': Buffer.from('\x1b\x1b[\x1b[1;\x1bO\x1b]0;title\x1bP1$r\x1b[200~\x1b[20\x1b[?1;2c\x1b[<0;1;1M'),
  'an unclosed paste': Buffer.from(`\x1b[200~rm victim\nrm victim\n${'x'.repeat(70_000)}`),
}

type Enter = (bench: Bench) => Promise<void>
const STATES: Readonly<Record<string, Enter>> = {
  EDIT: (bench) => bench.types('half a li'),
  CONT: (bench) => bench.types("echo 'a\r"),
  CHECK: async (bench) => {
    bench.holds = true
    await bench.types('ls\r')
  },
  'WAIT for another person': async (bench) => {
    bench.decision = () => ({ verdict: 'approve', confidence: 'exact' })
    await bench.types('ls\r')
  },
  'WAIT for the word': async (bench) => {
    bench.decision = () => ({ verdict: 'confirm', confidence: 'exact' })
    await bench.types('ls\r')
  },
  RUN: (bench) => bench.types('ls\r'),
}
const MORE_ROOM = 'x\x03'

for (const [state, enter] of Object.entries(STATES)) {
  describe(`in ${state}`, () => {
    for (const [name, bytes] of Object.entries(INPUTS)) {
      test(`${name} runs nothing, and the next line works`, async () => {
        const bench = new Bench()
        await bench.open()
        await enter(bench)
        await bench.types(bytes)
        if (state !== 'RUN') assert.equal(bench.typed.length, 0)
        else assert.ok(bytes.equals(bench.typed.subarray(0, bytes.length)))
        await bench.settle()
        // whatever was left open, a paste or a quote: its end, and Ctrl-C
        await bench.types(`\x1b[201~${MORE_ROOM}`)
        await bench.settle()
        await bench.types('echo alive\r')
        await bench.settle()
        bench.checkRan()
        assert.equal(bench.ran.at(-1), 'echo alive', bench.shown.slice(-600))
        await bench.shell?.close()
      })
    }

    test('marks that a program forges and switches of the screen open nothing', async () => {
      const bench = new Bench()
      await bench.open()
      await enter(bench)
      const before = bench.ran.length
      const digits = '1'.repeat(32)
      bench.target.prints(`\x1b]7777;${digits};0;${digits}\x07\x1b]7777;${digits}\x07\x1b[?1049h\x1b[?1049l\x1bc\x1b]7777;`)
      await turns()
      assert.equal(bench.ran.length, before)
      await bench.settle()
      await bench.types(`${MORE_ROOM}`)
      await bench.settle()
      await bench.types('echo alive\r')
      await bench.settle()
      bench.checkRan()
      assert.equal(bench.ran.at(-1), 'echo alive')
      await bench.shell?.close()
    })

    test('a storm of resizes leaves the next line right', async () => {
      const bench = new Bench()
      await bench.open()
      await enter(bench)
      for (let i = 0; i < 500; i++) bench.shell?.resize({ columns: i % 130, rows: i % 50, widthPx: 0, heightPx: 0 })
      await bench.settle()
      await bench.types(MORE_ROOM)
      await bench.settle()
      await bench.types('echo alive\r')
      await bench.settle()
      bench.checkRan()
      assert.equal(bench.ran.at(-1), 'echo alive')
      await bench.shell?.close()
    })
  })
}

test('10 MB on one line are refused whole, and the next line works', async () => {
  const bench = new Bench()
  await bench.open()
  bench.target.instant = true
  await bench.types(Buffer.alloc(10 * 1024 * 1024, 'y'))
  await bench.types('\r')
  await bench.settle()
  assert.deepEqual(bench.ran, [])
  assert.match(bench.shown, /longer than 64 KiB/)
  await bench.types('echo alive\r')
  await bench.settle()
  assert.deepEqual(bench.ran, ['echo alive'])
  await bench.shell?.close()
})

test('10,000 lines pasted without brackets run one by one, all of them, in order', async () => {
  const bench = new Bench()
  await bench.open()
  bench.target.instant = true
  const lines = Array.from({ length: 10_000 }, (_, i) => (i % 100 === 7 ? `rm ${i}` : `true ${i}`))
  await bench.types(lines.map((line) => `${line}\n`).join(''))
  for (let i = 0; i < 6000 && bench.kept.filter(({ type }) => type === 'command').length < lines.length; i++) await turns()
  await bench.settle()
  assert.deepEqual(
    bench.ran,
    lines.filter((line) => !line.startsWith('rm')),
  )
  bench.checkRan()
  await bench.shell?.close()
})

test('10,000 lines in one bracketed paste are one line, kept or refused as a whole', async () => {
  const bench = new Bench()
  await bench.open()
  bench.target.instant = true
  await bench.types(`\x1b[200~${'true\n'.repeat(10_000)}\x1b[201~\r`)
  await bench.settle()
  const commands = bench.kept.filter(({ type }) => type === 'command')
  assert.equal(commands.length, 1)
  assert.equal(bench.target.lines.filter((line) => line.includes('eval ')).length, commands[0]?.type === 'command' && commands[0].verdict === 'allow' ? 1 : 0)
  await bench.shell?.close()
})

test('while the audit store is down a line is held and comes back; nothing runs, nothing is lost', async () => {
  const bench = new Bench()
  await bench.open()
  bench.target.instant = true
  bench.broken = true
  await bench.types('echo kept\r')
  await turns()
  assert.deepEqual(bench.ran, [])
  assert.match(bench.shown, /the line is held, nothing was run/)
  bench.broken = false
  await bench.types('\r')
  await bench.settle()
  assert.deepEqual(bench.ran, ['echo kept'])
  await bench.shell?.close()
})
