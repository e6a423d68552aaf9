/** Rows of the evidence: events a second, searching a million events, opening an hour of recording at a second. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../src/core/log.js'
import type { AuditEvent, EventFilter, StoredEvent } from '../src/core/types.js'
import { AuditFile } from '../src/store/audit-file.js'
import type { LogStore } from '../src/store/audit-lane.js'
import { AuditLog } from '../src/store/audit-log.js'
import { AuditRedis } from '../src/store/audit-redis.js'
import { loadCheckpointKey } from '../src/store/checkpoint-key.js'
import { KeyframeThread } from '../src/store/keyframe-thread.js'
import { Search } from '../src/store/search.js'
import { TapeFile } from '../src/store/tape-file.js'
import { castEventLine, castHeaderLine } from '../src/wire/asciicast.js'
import { type ChainHead, GENESIS, link } from '../src/wire/evidence/chain.js'
import { needs } from '../test/support/need.js'
import { aSession } from '../test/support/sessions.js'
import type { Goal, Row } from './pair.js'
import { skippedRow } from './pair.js'

interface Named {
  readonly name: string
  readonly goal: Goal
}
interface AuditBench extends Named {
  readonly measure: (world: unknown, bench: Named) => Promise<Row>
}

const WRITERS = 1000
const WRITE_MS = 5000
const SEARCHED = 1_000_000

const atLeastRate = (rate: number): Goal => ({ text: `≥ ${rate}/s`, met: (_ratio, ours) => ours >= rate })
const withinMs = (limit: number): Goal => ({ text: `≤ ${limit} ms`, met: (_ratio, ours) => ours <= limit })

function row({ name, goal }: Named, unit: string, ours: number, note: string): Row {
  return { name, unit, ours, goal: goal.text, verdict: goal.met(ours, ours) ? 'met' : 'MISSED', note }
}

/** A directory on the disk that a gateway would use: /tmp may be memory, /var/tmp is not. */
async function within<T>(work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(process.env.DOCKIN_BENCH_DIR ?? '/var/tmp', 'dockin-bench-'))
  try {
    return await work(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Events a second that 1000 writers get acknowledged, each waiting for its own. */
async function writeRate(dir: string, stores: readonly LogStore[]): Promise<number> {
  const key = await loadCheckpointKey(join(dir, 'state', 'key'))
  const log = await AuditLog.open({ stores, onFailure: 'refuse', logger: silentLogger, key })
  const target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u-1', node: 'node-a' }
  let acknowledged = 0
  let isOver = false
  const write = async (writer: number) => {
    const event = { type: 'command', session: `s-${writer}`, user: 'alice', door: 'shell', target, verdict: 'allow', confidence: 'exact' } as const
    for (let i = 0; !isOver; i++) {
      const line = `tail -n ${i} /var/log/nginx/access.log`
      await log.write({ ...event, line, cwd: '/', rule: 'sre', commands: [['tail', '-n', String(i), '/var/log/nginx/access.log']] })
      acknowledged++
    }
  }
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer))
  const measure = async (ms: number) => {
    const before = acknowledged
    const start = performance.now()
    await new Promise((resolve) => setTimeout(resolve, ms))
    return (acknowledged - before) / ((performance.now() - start) / 1000)
  }
  await measure(1000)
  const rate = await measure(WRITE_MS)
  isOver = true
  await Promise.all(writers)
  await log.close()
  return rate
}

async function toFile(_world: unknown, bench: Named): Promise<Row> {
  const rate = await within((dir) => writeRate(dir, [new AuditFile(join(dir, 'audit'))]))
  return row(bench, 'events/s', rate, `${WRITERS} writers, fdatasync`)
}

async function toFileAndRedis(_world: unknown, bench: Named): Promise<Row> {
  const missing = needs.program('redis-server')
  if (missing) return skippedRow(bench.name, bench.goal.text, missing)
  const socketDir = mkdtempSync(join(tmpdir(), 'dockin-redis-'))
  const socket = join(socketDir, 'redis.sock')
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', socketDir, '--save', ''], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    for await (const chunk of redis.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) if (String(chunk).includes('accept connections')) break
    redis.stdout.resume()
    const rate = await within((dir) => writeRate(dir, [new AuditFile(join(dir, 'audit')), new AuditRedis({ url: `unix://${socket}` }, silentLogger)]))
    return row(bench, 'events/s', rate, `${WRITERS} writers, fdatasync and Redis`)
  } finally {
    const ended = once(redis, 'exit')
    redis.kill('SIGKILL')
    await ended
    rmSync(socketDir, { recursive: true, force: true })
  }
}

const PROGRAMS = ['ls -la', 'cat', 'tail -f', 'grep -r error', 'vi', 'systemctl status', 'curl -s', 'kubectl get pods -n', 'rm -rf', 'find / -name'] as const

/** A million events of some 110,000 sessions: 400 users, 2,000 pods, lines with parts that are rare and parts that are everywhere. */
function* manyEvents(count: number): Generator<StoredEvent[]> {
  let head: ChainHead = GENESIS
  let batch: StoredEvent[] = []
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  const start = Date.parse('2026-01-01T00:00:00.000Z')
  for (let session = 0; head.seq < count; session++) {
    const pod = random(2000)
    const target = {
      cluster: `c${pod % 4}`,
      namespace: `ns-${pod % 50}`,
      pod: `app-${pod % 200}-${pod}`,
      container: 'main',
      uid: `u-${pod}`,
      node: `node-${pod % 30}`,
    }
    const subject = { session: `s-${session}`, user: `user${random(400)}`, from: '10.0.0.1:22', door: 'shell', target } as const
    const add = (event: AuditEvent) => {
      const stored = link(event, head, new Date(start + head.seq * 25_000).toISOString())
      batch.push(stored)
      head = stored
    }
    add({ ...subject, type: 'session.open', rule: 'sre' })
    for (let i = 0; i < 6; i++) {
      const line = `${PROGRAMS[random(PROGRAMS.length)]} /srv/app${random(500)}/file-${random(1_000_000)}.log`
      const isDenied = random(50) === 0
      add({
        ...subject,
        type: 'command',
        line,
        cwd: '/',
        verdict: isDenied ? 'deny' : 'allow',
        ...(isDenied && { reason: 'not on the list' }),
        confidence: 'exact',
      })
    }
    add({ ...subject, type: 'file', op: 'upload', path: `/tmp/upload-${random(100_000)}.tgz`, verdict: 'allow' })
    add({ ...subject, type: 'session.close', rule: 'sre', reason: 'exited', exit: 0, bytesIn: 1, bytesOut: 1, ms: 1000 })
    if (batch.length >= 2000) {
      yield batch
      batch = []
    }
  }
  yield batch
}

function questions(): EventFilter[] {
  const asked: EventFilter[] = []
  for (let i = 0; i < 40; i++) {
    asked.push(
      { text: `file-${i * 7919}` },
      { text: `app${i * 11}/` },
      { text: 'rm -rf', user: `user${i}` },
      { user: `user${i * 3}` },
      { session: `s-${i * 999}` },
    )
    asked.push(
      { verdict: 'deny', text: `app${i}` },
      { target: `ns-${i}/` },
      { text: 'no such thing anywhere' },
      { type: 'file', text: '.tgz', target: `app-${i}-` },
    )
    asked.push({ text: 'log', from: new Date(Date.parse('2026-03-01') + i * 86_400_000), limit: 50 }, { text: 'rm' }, { verdict: 'deny', user: `user${i}` })
  }
  return asked
}

async function search(_world: unknown, bench: Named): Promise<Row> {
  return await within(async (dir) => {
    const store = new AuditFile(join(dir, 'audit'))
    for (const events of manyEvents(SEARCHED)) await store.append(events)
    const last = (await store.last())?.seq ?? 0
    await store.close()
    const started = performance.now()
    const index = new Search({ path: join(dir, 'search.db'), source: { type: 'file', dir: join(dir, 'audit') }, logger: silentLogger })
    try {
      await index.caughtUp(last, AbortSignal.timeout(30 * 60_000))
      const built = (performance.now() - started) / 1000
      const times: number[] = []
      for (const filter of questions()) {
        const start = performance.now()
        await index.events(filter)
        times.push(performance.now() - start)
      }
      for (let i = 0; i < 60; i++) {
        const start = performance.now()
        await index.sessions(i % 2 ? { text: `file-${i * 31}`, limit: 50 } : { user: `user${i}`, text: 'rm -rf' })
        times.push(performance.now() - start)
      }
      times.sort((a, b) => a - b)
      const median = times[Math.floor(times.length / 2)] ?? 0
      return row(
        bench,
        'ms',
        times[Math.floor(times.length * 0.99)] ?? 0,
        `${times.length} questions, median ${median.toFixed(1)} ms; built in ${built.toFixed(0)} s`,
      )
    } finally {
      await index.close()
    }
  })
}

/** An hour: a prompt and some output each two seconds, a full screen repainted now and then, 20 MB in all. */
async function seek(_world: unknown, bench: Named): Promise<Row> {
  return await within(async (dir) => {
    const keyframes = new KeyframeThread(silentLogger)
    const tapes = new TapeFile({ dataDir: dir, keyframes })
    try {
      const tape = await tapes.create(aSession().session)
      tape.sink.write(castHeaderLine({ version: 2, width: 120, height: 40 }))
      for (let second = 0; second < 3600; second++) {
        const text =
          second % 60 === 0
            ? `\u001b[2J\u001b[H${`\u001b[3${second % 8}m${'#'.repeat(110)}\r\n`.repeat(38)}`
            : `line ${second} ${randomBytes(2700).toString('hex')}\r\n$ `
        if (second % 10 === 0) tape.sink.write(castEventLine(second, 'm', `${second} ls`))
        if (!tape.sink.write(castEventLine(second, 'o', text))) await once(tape.sink, 'drain')
      }
      tape.sink.end()
      const { bytes } = await tape.seal()
      const cpu = process.cpuUsage()
      const madeIn = performance.now()
      const marks = await tapes.marks('s-1')
      const made = performance.now() - madeIn
      const { user, system } = process.cpuUsage(cpu)
      const times: number[] = []
      for (let i = 0; i < 100; i++) {
        const { seconds } = marks[(i * 37) % marks.length] ?? { seconds: 0 }
        const start = performance.now()
        const stream = await tapes.seek('s-1', seconds)
        // what a player needs to show that second: header, screen, and what came between
        for await (const chunk of stream) if (String(chunk).includes(`[${seconds},"m"`)) break
        times.push(performance.now() - start)
      }
      times.sort((a, b) => a - b)
      const note = `100 seeks, median ${(times[50] ?? 0).toFixed(1)} ms; ${(bytes / 1e6).toFixed(1)} MB; keyframes made in ${made.toFixed(0)} ms of a thread (${((user + system) / 1e3 / 20).toFixed(0)} ms CPU/MB)`
      return row(bench, 'ms', times[98] ?? 0, note)
    } finally {
      await keyframes.close()
    }
  })
}

/** For bench/main.ts; none of them needs its world. */
export function auditBenches(): readonly AuditBench[] {
  return [
    { name: 'audit events durable to file', goal: atLeastRate(20_000), measure: toFile },
    { name: 'audit events durable to file and Redis', goal: atLeastRate(10_000), measure: toFileAndRedis },
    { name: 'search p99 over 1,000,000 events', goal: withinMs(100), measure: search },
    { name: 'seek p99 in an hour of recording', goal: withinMs(300), measure: seek },
  ]
}
