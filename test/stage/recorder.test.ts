import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { silentLogger } from '../../src/core/log.js'
import type { AuditEvent, Session, Stage, Tape, TapeStore } from '../../src/core/types.js'
import { Recorder, type RecorderOptions } from '../../src/stage/recorder.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { type CastEvent, CastParser } from '../../src/wire/asciicast.js'
import { needs } from '../support/need.js'
import { anExec, aSession } from '../support/sessions.js'
import { tempDir } from '../support/temp-dir.js'

const DONE = { kind: 'exited', code: 0 } as const

async function stageOf(recorder: Recorder, session: Session): Promise<Stage> {
  const stage = await recorder.intercept(session)
  assert.ok(stage)
  return stage
}

async function onDisk(t: TestContext, options: Partial<RecorderOptions> = {}): Promise<{ recorder: Recorder; dataDir: string }> {
  const dataDir = await tempDir(t)
  return { recorder: new Recorder({ tapes: new TapeFile({ dataDir }), logger: silentLogger, onFailure: 'refuse', ...options }), dataDir }
}

function lane(stage: Stage, name: 'down' | 'err' = 'down') {
  const duplex = stage[name]
  assert.ok(duplex)
  return duplex
}

async function through(stage: Stage, chunks: readonly Buffer[], name: 'down' | 'err' = 'down'): Promise<Buffer> {
  const out: Buffer[] = []
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      out.push(chunk)
      done()
    },
  })
  await pipeline(Readable.from(chunks), lane(stage, name), sink)
  return Buffer.concat(out)
}

async function read(dataDir: string, path: string): Promise<{ parser: CastParser; events: readonly CastEvent[]; bytes: Buffer }> {
  const bytes = await readFile(join(dataDir, path))
  const parser = new CastParser()
  const events = parser.push(gunzipSync(bytes))
  parser.end()
  return { parser, events, bytes }
}

/** A tape store whose sink a test makes slow or broken. */
function tapesOf(sink: Writable): TapeStore {
  const tape: Tape = {
    path: 'recordings/x.cast',
    sink,
    seal: async () => {
      if (!sink.writableFinished) await once(sink, 'finish')
      return { sha256: 'x', bytes: 1 }
    },
  }
  return { create: async () => tape, open: async () => new PassThrough() }
}

test('recorder writes what the client saw and tells path and hash of the file', async (t) => {
  let clock = 1000
  const { recorder, dataDir } = await onDisk(t, { now: () => clock })
  const stage = await stageOf(recorder, aSession().session)
  const euro = Buffer.from('€')
  clock += 250
  const passed = await through(stage, [Buffer.from('one\r\n'), euro.subarray(0, 1), euro.subarray(1)])
  assert.equal(passed.toString(), 'one\r\n€')
  stage.resize?.({ columns: 132, rows: 43, widthPx: 0, heightPx: 0 })
  recorder.mark('s-1', '42')
  recorder.mark('another session', '43')
  await stage.finish?.(DONE)
  const facts = stage.facts?.() ?? {}
  assert.equal(facts.recording, 'recordings/2026/11/23/s-1.cast.gz')
  const { parser, events, bytes } = await read(dataDir, String(facts.recording))
  assert.equal(facts.recordingSha256, createHash('sha256').update(bytes).digest('hex'))
  assert.deepEqual(events, [
    { seconds: 0.25, code: 'o', data: 'one\r\n' },
    { seconds: 0.25, code: 'o', data: '€' },
    { seconds: 0.25, code: 'r', data: '132x43' },
    { seconds: 0.25, code: 'm', data: '42' },
  ])
  const { version, width, height, timestamp, title, env } = parser.header ?? assert.fail()
  assert.deepEqual([version, width, height, timestamp, title, env], [2, 80, 24, 1795428000, 'alice in a/shop/web-0/web', { TERM: 'xterm-256color' }])
  recorder.mark('s-1', 'after the end')
})

test('recorder ends a text that stops inside a character and passes the bytes unchanged', async (t) => {
  const { recorder, dataDir } = await onDisk(t)
  const stage = await stageOf(recorder, aSession().session)
  const bytes = Buffer.from([0x61, 0xff, 0xe2, 0x82])
  assert.deepEqual(await through(stage, [bytes]), bytes)
  await stage.finish?.(DONE)
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  assert.equal(events.map((event) => event.data).join(''), 'a\ufffd\ufffd')
})

test('recorder leaves sessions without a terminal alone, or records both lanes where it is asked to', async (t) => {
  const plain = await onDisk(t)
  assert.equal(await plain.recorder.intercept(anExec()), undefined)
  const { recorder, dataDir } = await onDisk(t, { records: () => true })
  const stage = await stageOf(recorder, anExec())
  await through(stage, [Buffer.from('out')])
  await through(stage, [Buffer.from('err')], 'err')
  await stage.finish?.(DONE)
  const { events, parser } = await read(dataDir, String(stage.facts?.().recording))
  assert.deepEqual(
    events.map(({ code, data }) => [code, data]),
    [
      ['o', 'out'],
      ['e', 'err'],
    ],
  )
  assert.equal(parser.header?.command, 'ls')
})

test('recording ends with a marker at its size limit and the session goes on', async (t) => {
  const { recorder, dataDir } = await onDisk(t, { maxBytes: () => 10 })
  const stage = await stageOf(recorder, aSession().session)
  assert.equal((await through(stage, [Buffer.from('12345678'), Buffer.from('9abc'), Buffer.from('def')])).toString(), '123456789abcdef')
  await stage.finish?.(DONE)
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  assert.deepEqual(
    events.map((event) => event.code),
    ['o', 'm'],
  )
})

test('slow tape holds the session back and memory with it', async () => {
  let release = () => {}
  const sink = new Writable({
    highWaterMark: 1000,
    write: (_chunk, _encoding, done) => {
      release = done
    },
  })
  const recorder = new Recorder({ tapes: tapesOf(sink), logger: silentLogger, onFailure: 'refuse' })
  const stage = await stageOf(recorder, aSession().session)
  const down = lane(stage)
  const passed: Buffer[] = []
  down.on('data', (chunk: Buffer) => passed.push(chunk))
  let offered = 0
  while (down.write(Buffer.alloc(10_000, 'x'))) offered++
  await new Promise(setImmediate)
  assert.ok(offered < 20, `${offered} chunks were taken`)
  assert.ok(passed.length <= 1, `${passed.length} chunks passed a tape that took none`)
  sink.on('drain', () => {})
  const drained = once(down, 'drain')
  const timer = setInterval(() => release(), 1)
  await drained
  down.end()
  await once(down, 'end')
  await stage.finish?.(DONE)
  clearInterval(timer)
  assert.equal(Buffer.concat(passed).length, (offered + 1) * 10_000)
})

test('tape that fails ends the session with RECORDING_FAILED', async () => {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error('no space left')) })
  const recorder = new Recorder({ tapes: tapesOf(sink), logger: silentLogger, onFailure: 'refuse' })
  const { session } = aSession()
  const stage = await stageOf(recorder, session)
  await assert.rejects(pipeline(new PassThrough(), lane(stage), new PassThrough().resume()), { code: 'RECORDING_FAILED', message: /"s-1": no space left/ })
  await stage.finish?.(undefined)
  assert.deepEqual(stage.facts?.(), {})
})

test('tape that fails is let go with a note where the session may continue', async () => {
  let fail = () => {}
  const sink = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => (fail = () => done(new Error('no space left'))) })
  const notes: AuditEvent[] = []
  const noted = new Promise<void>((resolve) => {
    notes.push = (...events) => {
      resolve()
      return Array.prototype.push.apply(notes, events)
    }
  })
  const audit: NonNullable<RecorderOptions['audit']> = {
    write: async (event) => {
      notes.push(event)
      return { ...event, seq: 1, time: '', prev: '', hash: '' }
    },
  }
  const recorder = new Recorder({ tapes: tapesOf(sink), logger: silentLogger, onFailure: 'continue', audit })
  const stage = await stageOf(recorder, aSession().session)
  const passing = through(stage, [Buffer.from('one'), Buffer.from('two')])
  await new Promise(setImmediate)
  fail()
  assert.equal((await passing).toString(), 'onetwo')
  await noted
  await stage.finish?.(DONE)
  assert.deepEqual(stage.facts?.(), {})
  assert.deepEqual(
    notes.map((note) => note.type === 'admin' && [note.action, note.object, note.after]),
    [['recording.lost', 's-1', { reason: 'no space left' }]],
  )
})

test('tape that cannot be created refuses the session, or lets it run unrecorded', async () => {
  const tapes: TapeStore = { create: () => Promise.reject(new Error('read-only')), open: () => Promise.reject(new Error('none')) }
  const refusing = new Recorder({ tapes, logger: silentLogger, onFailure: 'refuse' })
  await assert.rejects(async () => refusing.intercept(aSession().session), { code: 'RECORDING_FAILED', exit: 254 })
  const failures: AuditEvent[] = []
  const audit: NonNullable<RecorderOptions['audit']> = {
    write: async (event) => {
      failures.push(event)
      throw new Error('audit is down too')
    },
  }
  const continuing = new Recorder({ tapes, logger: silentLogger, onFailure: 'continue', audit })
  assert.equal(await continuing.intercept(aSession().session), undefined)
  assert.equal(failures.length, 1)
})

test('session that is torn down in the middle leaves a sealed recording of what was shown', async (t) => {
  const { recorder, dataDir } = await onDisk(t)
  const { session } = aSession()
  const stage = await stageOf(recorder, session)
  const source = new PassThrough()
  const ending = new AbortController()
  const client = new PassThrough()
  const running = pipeline(source, lane(stage), client, { signal: ending.signal })
  source.write('shown')
  await once(client, 'data')
  ending.abort(new Error('the client left'))
  await assert.rejects(running)
  await stage.finish?.(undefined)
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  assert.equal(events[0]?.data, 'shown')
})

test('commands are marked with their number, also one that was vetted before the recording was open', async (t) => {
  const { recorder, dataDir } = await onDisk(t, { records: () => true })
  const event = (seq: number, line: string, verdict: 'allow' | 'deny', session = 's-1') =>
    recorder.note({ type: 'command', seq, session, line, verdict, confidence: 'exact', time: '', prev: '', hash: '' })
  event(7, 'ls -la\u001b[2J', 'allow')
  event(8, 'id', 'allow', 'another')
  const stage = await stageOf(recorder, anExec())
  await through(stage, [Buffer.from('out')])
  event(9, 'rm -rf /', 'deny')
  await stage.finish?.(DONE)
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  assert.deepEqual(
    events.map(({ code, data }) => [code, data]),
    [
      ['m', '7 ls -la\\x1b[2J'],
      ['o', 'out'],
      ['m', '9 denied: rm -rf /'],
    ],
  )
})

test('secret typed at a prompt that does not echo is in no recording', { skip: needs.program('python3') }, async (t) => {
  const { recorder, dataDir } = await onDisk(t)
  const stage = await stageOf(recorder, aSession().session)
  assert.equal(stage.up, undefined, 'input does not pass the recorder')
  // a real terminal whose program asks with echo off; what the client types goes in, what the terminal shows is recorded
  const script = `import os,pty,sys,time
pid,fd=pty.fork()
if pid==0: os.execvp('sh',['sh','-c','stty -echo; printf "Password: "; read x; stty echo; echo; echo "got \${#x}"'])
seen=b''
while b'Password: ' not in seen: seen+=os.read(fd,1000)
time.sleep(0.1)
os.write(fd,b'hunter2-secret\\n')
try:
  while True:
    chunk=os.read(fd,1000)
    if not chunk: break
    seen+=chunk
except OSError: pass
sys.stdout.buffer.write(seen)`
  const shown = execFileSync('python3', ['-c', script])
  assert.match(shown.toString(), /Password: .*got 14/s)
  await through(stage, [shown])
  await stage.finish?.(DONE)
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  const text = events.map(({ data }) => data).join('')
  assert.match(text, /Password: /)
  assert.doesNotMatch(text, /hunter2/)
  assert.ok(events.every(({ code }) => code !== 'i'))
})

test('lines that are typed are recorded where the rule asks for it, passed on as they are, and no secret is among them', async (t) => {
  const { recorder, dataDir } = await onDisk(t)
  const stage = await stageOf(recorder, aSession({ record: { input: true } }).session)
  const { up, down } = stage
  assert.ok(up && down)
  const got: Buffer[] = []
  up.on('data', (chunk: Buffer) => got.push(chunk))
  down.resume()
  const type = (text: string) => new Promise((resolve) => up.write(text, resolve))
  const show = (text: string) => new Promise((resolve) => down.write(text, resolve))
  await type('sudo id')
  await show('sudo id')
  await type('\r')
  await show('\r\nPassword: ')
  await type('hunter2\r')
  await show('\r\nuid=0\r\n')
  down.end()
  up.end()
  await once(down, 'end')
  await stage.finish?.(DONE)
  assert.equal(Buffer.concat(got).toString(), 'sudo id\rhunter2\r')
  const { events } = await read(dataDir, String(stage.facts?.().recording))
  assert.deepEqual(
    events.map(({ code, data }) => [code, data]),
    [
      ['o', 'sudo id'],
      ['i', 'sudo id\r'],
      ['o', '\r\nPassword: '],
      ['i', '\r'],
      ['o', '\r\nuid=0\r\n'],
    ],
  )
})
