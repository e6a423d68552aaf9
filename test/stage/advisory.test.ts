import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { loadPty } from '../../agent/pty.js'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Session, Stage, StoredEvent, Target } from '../../src/core/types.js'
import { advisory } from '../../src/stage/advisory.js'
import { AdvisoryLines } from '../../src/stage/advisory-lines.js'
import { needs } from '../support/need.js'

const plain = () => ({ confidence: 'advisory' as const, rule: () => 'plain' })
const TARGET: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'local://1', labels: {} }
const session = (): Session => ({
  id: 's',
  door: 'shell',
  identity: { user: 'alice', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } },
  target: TARGET,
  startedAt: new Date(0),
  signal: new AbortController().signal,
  pty: { term: 'xterm', size: { columns: 60, rows: 20, widthPx: 0, heightPx: 0 }, modes: {} },
})

/** What a person sees, with `>` before what is typed and the rest as it is shown. */
async function read(steps: readonly (readonly ['type' | 'show', string])[], columns = 60): Promise<string[]> {
  const lines = new AdvisoryLines(columns, 10)
  const found: string[] = []
  for (const [kind, text] of steps) {
    if (kind === 'type') lines.keys(Buffer.from(text))
    else for (const { line, cwd } of await lines.shown(Buffer.from(text))) found.push(cwd === undefined ? line : `${cwd}: ${line}`)
  }
  lines.dispose()
  return found
}

describe('lines that a screen shows', () => {
  const P = 'bob@web:/srv# '
  test('are what stands behind the prompt at Enter, with the directory that the prompt shows', async () => {
    assert.deepEqual(
      await read([
        ['show', P],
        ['type', 'ls'],
        ['show', 'ls'],
        ['type', ' -l\r'],
        ['show', ' -l\r\ntotal 0\r\n'],
      ]),
      ['/srv: ls -l'],
    )
  })
  test('are read after recall and editing as they stand', async () => {
    const steps = [
      ['show', P],
      ['type', '\x1b[A'],
      ['show', 'rm -rf /x'],
      ['type', '\x7f\r'],
      ['show', '\b\x1b[Ky\r\n'],
    ] as const
    assert.deepEqual(await read(steps), ['/srv: rm -rf /y'])
  })
  test('are whole when they wrap, and when wide characters do', async () => {
    const long = 'echo 漢字 0123456789 0123456789 0123456789'
    assert.deepEqual(
      await read(
        [
          ['show', P],
          ['type', 'e'],
          ['show', long],
          ['type', '\r'],
          ['show', '\r\nx\r\n'],
        ],
        20,
      ),
      [`/srv: ${long}`],
    )
  })
  test('are found one by one when they were typed ahead', async () => {
    const steps = [
      ['show', P],
      ['type', 'sleep 1\rls\rid\r'],
      ['show', `sleep 1\r\nls\r\nid\r\n${P}ls\r\na b\r\n${P}id\r\nuid=0\r\n${P}`],
    ] as const
    assert.deepEqual(await read(steps), ['/srv: sleep 1', '/srv: ls', '/srv: id'])
  })
  test('never hold what was not echoed, and nothing that stands behind a question', async () => {
    const steps = [
      ['show', P],
      ['type', 'su\r'],
      ['show', 'su\r\nPassword: '],
      ['type', 'hunter2\r'],
      ['show', '\r\nsu: no\r\n'],
      ['show', 'Name? '],
      ['type', 'x\r'],
      ['show', 'x\r\n'],
    ] as const
    assert.deepEqual(await read(steps), ['/srv: su'])
    assert.deepEqual(
      await read([
        ['show', 'secret> '],
        ['type', 'hunter2\r'],
        ['show', '\r\n'],
      ]),
      [],
    )
  })
  test('are not looked for on the alternate screen, nor after Ctrl-C', async () => {
    const steps = [
      ['show', P],
      ['type', 'vi\r'],
      ['show', 'vi\r\n\x1b[?1049h$ '],
      ['type', 'dd\r'],
      ['show', 'dd\r\n\x1b[?1049l'],
      ['show', P],
      ['type', 'ab'],
      ['show', 'ab'],
      ['type', '\x03'],
      ['show', `^C\r\n${P}`],
      ['type', 'id\r'],
      ['show', 'id\r\n'],
    ] as const
    assert.deepEqual(await read(steps), ['/srv: vi', '/srv: id'])
  })
  test('stand between the marks of a shell that marks its prompt, whatever the prompt looks like', async () => {
    const mark = (kind: string) => `\x1b]133;${kind}\x07`
    const steps = [
      ['show', `\x1b]7;file://web/o%20p\x07${mark('A')}go on: ${mark('B')}`],
      ['type', 'cat\r'],
      ['show', `cat\r\n${mark('C')}`],
      ['type', 'text $ \r'],
      ['show', 'text $ \r\ntext $ \r\n'],
    ] as const
    assert.deepEqual(await read(steps), ['/o p: cat'])
  })
})

/** A stage with a person at one end and a program at the other. */
function staged(more: object = {}): { readonly stage: Stage; readonly events: AuditEvent[] } {
  const events: AuditEvent[] = []
  const write = async (event: AuditEvent): Promise<StoredEvent> => {
    events.push(event)
    return event as StoredEvent
  }
  const stage = advisory({ audit: { write }, log: silentLogger, source: plain, batchMs: 1, ...more })(session()) as Stage
  return { stage, events }
}

describe('the advisory stage', () => {
  test('passes every byte on at once, unchanged, and logs what was entered', async () => {
    const { stage, events } = staged({ commands: () => [['ls']] })
    const out: Buffer[] = []
    stage.up?.resume()
    stage.down?.on('data', (chunk: Buffer) => out.push(chunk))
    stage.down?.write('# ')
    stage.up?.write('ls\r')
    const bytes = Buffer.from([0x6c, 0x73, 0x0d, 0x0a, 0xff, 0x00, 0x1b, 0x5b])
    stage.down?.write(bytes)
    stage.down?.end()
    if (stage.down) await once(stage.down, 'end')
    await stage.finish?.({ kind: 'exited', code: 0 })
    assert.deepEqual(Buffer.concat(out), Buffer.concat([Buffer.from('# '), bytes]))
    const [event] = events
    assert.ok(event?.type === 'command')
    assert.deepEqual(
      [event.line, event.rule, event.verdict, event.confidence, event.commands, event.session],
      ['ls', 'plain', 'allow', 'advisory', [['ls']], 's'],
    )
    await stage.finish?.(undefined)
  })
  test('reads the line before and the line after much output, and leaves out the middle', async () => {
    const { stage, events } = staged({ batchMs: 60_000 })
    stage.up?.resume()
    stage.down?.resume()
    stage.down?.write('# ')
    stage.up?.write('cat big\r')
    stage.down?.write('cat big\r\n')
    for (let i = 0; i < 100; i++)
      if (!stage.down?.write(`${'x'.repeat(99)}\r\n`.repeat(500))) await new Promise((resolve) => stage.down?.once('drain', resolve))
    stage.down?.write('# ')
    await new Promise(setImmediate)
    stage.up?.write('id\r')
    await new Promise(setImmediate)
    stage.down?.write('id\r\n')
    await new Promise(setImmediate)
    const startMs = performance.now()
    await stage.finish?.(undefined)
    assert.ok(performance.now() - startMs < 1000)
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'command' ? [event.line] : [])),
      ['cat big', 'id'],
    )
  })
  test('reads nothing while somebody else vets what is typed', async () => {
    let rule: string | undefined
    const { stage, events } = staged({ source: () => ({ confidence: 'nested', rule: () => rule }) })
    stage.up?.resume()
    stage.down?.resume()
    const typed = async (line: string): Promise<void> => {
      stage.down?.write('# ')
      await new Promise(setImmediate)
      stage.up?.write(`${line}\r`)
      await new Promise(setImmediate)
      stage.down?.write(`${line}\r\n`)
      await new Promise(setImmediate)
    }
    await typed('bash')
    rule = 'r'
    await typed('id')
    rule = undefined
    await typed('ls')
    await stage.finish?.(undefined)
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'command' ? [[event.line, event.confidence, event.rule]] : [])),
      [['id', 'nested', 'r']],
    )
  })
  test('is not there for an exec, without a terminal, or where the shell is guarded', () => {
    const audit = { write: async (event: AuditEvent) => event as StoredEvent }
    const intercept = advisory({ audit, log: silentLogger, source: plain })
    const { pty: _, ...bare } = session()
    assert.equal(intercept(bare), undefined)
    assert.equal(intercept({ ...session(), command: 'ls' }), undefined)
    assert.equal(advisory({ audit, log: silentLogger, source: () => undefined })(session()), undefined)
  })
})

describe('with real shells', { timeout: 60_000 }, () => {
  for (const [name, ...argv] of [
    ['bash', '--norc', '-i'],
    ['dash', '-i'],
    ['busybox', 'ash', '-i'],
  ] as const) {
    test(`${name}: what was typed is what is logged; what was not echoed is not`, { skip: needs.program(name) }, async () => {
      const file = execFileSync('which', [name], { encoding: 'utf8' }).trim()
      const env = { PATH: process.env.PATH ?? '', PS1: 'u@h:/tmp# ', HISTFILE: '', TERM: 'xterm' }
      const terminal = loadPty().spawn({ argv: [file, ...argv], env, cwd: '/tmp', size: { columns: 60, rows: 20, widthPx: 0, heightPx: 0 } })
      const { stage, events } = staged()
      let writing = Promise.resolve()
      stage.up?.on('data', (chunk: Buffer) => {
        writing = writing.then(() => new Promise((done) => terminal.write(chunk, done)))
      })
      stage.down?.resume()
      let seen = ''
      let look = (): void => {}
      terminal.output.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        stage.down?.write(chunk)
        look()
      })
      const sees = async (text: string): Promise<void> => {
        while (!seen.includes(text)) await new Promise<void>((resolve) => (look = resolve))
        seen = seen.slice(seen.indexOf(text) + text.length)
      }
      await sees('# ')
      for (const key of 'echo o"n"e') stage.up?.write(key)
      stage.up?.write('\r')
      await sees('one\r')
      await sees('# ')
      stage.up?.write('stty -echo; echo re""ady; head -n 1 >/dev/null; stty echo\r')
      await sees('ready\r\n')
      stage.up?.write('hunter2\r')
      await sees('# ')
      stage.up?.write('exit\r')
      await terminal.exit
      await stage.finish?.(undefined)
      await terminal.close()
      const lines = events.flatMap((event) => (event.type === 'command' ? [event.line] : []))
      assert.deepEqual(lines, ['echo o"n"e', 'stty -echo; echo re""ady; head -n 1 >/dev/null; stty echo', 'exit'])
    })
  }
})
