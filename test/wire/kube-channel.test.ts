import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import type { ExitStatus } from '../../src/core/types.js'
import { channelClosed, channelMessage, parseMessage, parseResize, parseStatus, printResize, printStatus } from '../../src/wire/kube-channel.js'

const statuses: readonly ExitStatus[] = [
  { kind: 'exited', code: 0 },
  { kind: 'exited', code: 7 },
  { kind: 'exited', code: 255 },
  { kind: 'signaled', signal: 'KILL', coreDumped: false },
  { kind: 'signaled', signal: 'SEGV', coreDumped: true },
]
for (const status of statuses) {
  test(`the status ${JSON.stringify(status)} comes back as it was`, () => {
    assert.deepEqual(parseStatus(printStatus(status)), status)
  })
}

test('a signal is 128 and its number to a Go client', () => {
  assert.match(printStatus({ kind: 'signaled', signal: 'KILL', coreDumped: false }), /"reason":"ExitCode","message":"137"/)
})

test('an error of ours keeps its code, and a Go client exits with 127', () => {
  const printed = printStatus(new OpsError('COMMAND_NOT_FOUND', 'no such program'))
  assert.match(printed, /"reason":"ExitCode","message":"127"/)
  const parsed = parseStatus(printed)
  assert.ok(parsed instanceof OpsError)
  assert.equal(parsed.code, 'COMMAND_NOT_FOUND')
  assert.equal(parsed.message, 'no such program')
})

const runtimeTexts: readonly [string, string][] = [
  [
    'error executing command in container: failed to exec in container: failed to start exec "x": OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH: unknown',
    'COMMAND_NOT_FOUND',
  ],
  [
    'OCI runtime exec failed: exec failed: container_linux.go:367: starting container process caused: exec: "/x": stat /x: no such file or directory: unknown',
    'COMMAND_NOT_FOUND',
  ],
  ['OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc/passwd": permission denied: unknown', 'COMMAND_NOT_EXECUTABLE'],
  ['container not found ("web")', 'TARGET_NOT_RUNNING'],
  ['something else', 'PROTOCOL_ERROR'],
]
for (const [message, code] of runtimeTexts) {
  test(`a runtime that says "${message.slice(-40)}" means ${code}`, () => {
    const parsed = parseStatus(JSON.stringify({ status: 'Failure', reason: 'InternalError', message }))
    assert.ok(parsed instanceof OpsError)
    assert.equal(parsed.code, code)
  })
}

test('no text makes the status parser throw', () => {
  const status = fc.record(
    {
      status: fc.constantFrom('Success', 'Failure', 1),
      reason: fc.constantFrom('NonZeroExitCode', 'x'),
      message: fc.anything(),
      details: fc.oneof(
        fc.anything(),
        fc.record({ causes: fc.array(fc.record({ reason: fc.constantFrom('ExitCode', 'DockinSignal', 'DockinCode'), message: fc.string() })) }),
      ),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        status.map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const parsed = parseStatus(text)
        assert.ok(parsed instanceof OpsError || parsed.kind === 'signaled' || (parsed.code >= 0 && parsed.code <= 255))
      },
    ),
    { numRuns: 2000 },
  )
})

test('a size comes back, and only a size does', () => {
  assert.deepEqual(parseResize(printResize({ columns: 123, rows: 45, widthPx: 9, heightPx: 9 })), { columns: 123, rows: 45, widthPx: 0, heightPx: 0 })
  assert.equal(printResize({ columns: 0, rows: 1e9, widthPx: 0, heightPx: 0 }), '{"Width":1,"Height":65535}\n')
  for (const text of ['', 'null', '[]', '{}', '{"Width":0,"Height":1}', '{"Width":1.5,"Height":1}', '{"Width":"1","Height":1}', '{"Width":65536,"Height":1}']) {
    assert.equal(parseResize(text), undefined, text)
  }
})

test('a channel message is its byte and its payload', () => {
  assert.deepEqual(parseMessage(channelMessage(1, 'hi')), { channel: 1, payload: Buffer.from('hi') })
  assert.deepEqual(parseMessage(channelClosed(0)), { channel: 255, payload: Buffer.from([0]) })
  assert.throws(() => parseMessage(Buffer.alloc(0)), { code: 'PROTOCOL_ERROR' })
  assert.throws(() => parseMessage(Buffer.from([5])), { code: 'PROTOCOL_ERROR' })
})
