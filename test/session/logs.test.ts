import assert from 'node:assert/strict'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import type { Executor, ExitStatus, LogsRequest, RemoteProcess, Target } from '../../src/core/types.js'
import { LineFilter } from '../../src/session/line-filter.js'
import { startLogs } from '../../src/session/logs.js'

const TARGET: Target = { cluster: 'a', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const ALL: LogsRequest = { follow: false, timestamps: false, previous: false, limitBytes: 1000 }

/** An executor whose logs are what the test writes. */
function source(withStderr = true) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  let settle: (status: ExitStatus | OpsError) => void = () => {}
  let isClosed = false
  const exit = new Promise<ExitStatus>((resolve, reject) => {
    settle = (status) => (status instanceof OpsError ? reject(status) : resolve(status))
  })
  const process: RemoteProcess = {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout,
    ...(withStderr && { stderr }),
    exit,
    via: 'test',
    resize: () => {},
    kill: () => {},
    close: async () => {
      isClosed = true
      settle(new OpsError('PROTOCOL_ERROR', 'closed'))
    },
  }
  const executor: Executor = { name: 'test', exec: () => Promise.reject(new Error('no exec')), logs: async () => process, close: async () => {} }
  return { executor, stdout, stderr, settle, isClosed: () => isClosed }
}
const start = (executor: Executor, request: LogsRequest) => startLogs(executor, TARGET, request, new AbortController().signal)

test('a log comes whole and ends with 0', async () => {
  const { executor, stdout, stderr, settle } = source()
  const logs = await start(executor, ALL)
  stdout.end('one\ntwo\n')
  stderr.end('err\n')
  settle({ kind: 'exited', code: 0 })
  assert.deepEqual(await Promise.all([text(logs.stdout), text(logs.stderr ?? Readable.from([])), logs.exit]), [
    'one\ntwo\n',
    'err\n',
    { kind: 'exited', code: 0 },
  ])
})

for (const withStderr of [true, false]) {
  test(`a log that is cut says so on stderr, however early its source has ended (${withStderr ? 'two streams' : 'one stream'})`, async () => {
    const { executor, stdout, stderr, settle, isClosed } = source(withStderr)
    const logs = await start(executor, { ...ALL, limitBytes: 10 })
    stdout.end('0123456789 and more\n')
    stderr.end()
    settle({ kind: 'exited', code: 0 })
    const [out, err] = await Promise.all([text(logs.stdout), text(logs.stderr ?? Readable.from([]))])
    assert.deepEqual([out, err], ['0123456789', 'dockin: the output ends here: its limit of 10 B was reached\n'])
    assert.deepEqual(logs.facts?.(), { cutAtBytes: 10 })
    assert.ok(isClosed())
  })
}

test('a log that goes on is cut too, and ends with 1', async () => {
  const { executor, stdout, stderr } = source()
  const logs = await start(executor, { ...ALL, follow: true, limitBytes: 4 })
  stderr.write('abcdefgh')
  stdout.write('xyz')
  const [out, err, exit] = await Promise.all([text(logs.stdout), text(logs.stderr ?? Readable.from([])), logs.exit])
  assert.equal((out + err).replace(/dockin: .*\n/, '').length, 4)
  assert.match(err, /dockin: the output ends here: its limit of 4 B was reached\n$/)
  assert.deepEqual(exit, { kind: 'exited', code: 1 })
})

test('one stream only, and lines that were asked for', async () => {
  const { executor, stdout, stderr, settle } = source()
  const logs = await start(executor, { ...ALL, stream: 'stdout', filter: { grep: ['a'], exclude: ['B'], ignoreCase: true } })
  stdout.end('A1\nAb\nc\nxa')
  stderr.end('a\n')
  settle({ kind: 'exited', code: 0 })
  assert.deepEqual(await Promise.all([text(logs.stdout), text(logs.stderr ?? Readable.from([]))]), ['A1\nxa', ''])
})

test('a way that breaks ends both lanes with the reason', async () => {
  const { executor, settle } = source()
  const logs = await start(executor, ALL)
  settle(new OpsError('PROTOCOL_ERROR', 'it broke'))
  await assert.rejects(logs.exit, /it broke/)
  await assert.rejects(buffer(logs.stdout), /it broke/)
  await assert.rejects(buffer(logs.stderr ?? Readable.from([])), /it broke/)
})

test('a cluster without logs says so', async () => {
  const { executor } = source()
  const { logs: _logs, ...without } = executor
  await assert.rejects(start(without, ALL), (error: OpsError) => error.code === 'NOT_FOUND' && /local demo pods/.test(error.userText))
})

test('a filter answers the same however its bytes are cut', () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'b', 'é', ' ', 'X'), maxLength: 12 })
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(40), { maxLength: 6 }), fc.boolean(), fc.boolean(), (texts, cuts, ends, ignoreCase) => {
      const bytes = Buffer.from(texts.join('\n') + (ends ? '\n' : ''))
      const filter = new LineFilter({ grep: ['a'], exclude: ['x'], ignoreCase })
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length]
      const pieces = places.slice(1).map((end, i) => filter.push(bytes.subarray(places[i], end)))
      const passed = Buffer.concat([...pieces, filter.end()]).toString()
      const seen = (text: string) => (ignoreCase ? text.toLowerCase() : text)
      const wanted = bytes
        .toString()
        .split(/(?<=\n)/)
        .filter((one) => seen(one).includes('a') && !seen(one).includes('x'))
      assert.equal(passed, wanted.join(''))
    }),
  )
})

test('a line without an end holds no more than its beginning', () => {
  const filter = new LineFilter({ grep: ['needle'], exclude: [], ignoreCase: false })
  let passed = filter.push(Buffer.from(`needle ${'x'.repeat(70_000)}`)).length
  passed += filter.push(Buffer.alloc(1_000_000, 'y')).length
  assert.ok(passed > 1_000_000)
  assert.equal(filter.push(Buffer.from('\nother\n')).toString(), '\n')
})
