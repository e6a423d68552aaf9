import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesMessage, inputMessage, PROTOCOL, readMessage, resizeMessage } from '../../src/console/terminal/channel.js'
import { OpsError } from '../../src/core/errors.js'
import { channelClosed, channelMessage, KUBE_CHANNEL, KUBE_V5, parseMessage, parseResize, printStatus } from '../../src/wire/kube-channel.js'

const read = (message: Buffer): ReturnType<typeof readMessage> => readMessage(Uint8Array.from(message).buffer)

test('what the browser sends is what the gateway reads', () => {
  assert.equal(PROTOCOL, KUBE_V5)
  const typed = parseMessage(Buffer.from(inputMessage('größe\r')))
  assert.deepEqual([typed.channel, typed.payload.toString()], [KUBE_CHANNEL.stdin, 'größe\r'])
  assert.deepEqual(parseMessage(Buffer.from(bytesMessage('\x1b[M\xff'))).payload, Buffer.from('\x1b[M\xff', 'latin1'))
  const size = parseMessage(Buffer.from(resizeMessage(132.7, 0)))
  assert.equal(size.channel, KUBE_CHANNEL.resize)
  assert.deepEqual(parseResize(size.payload.toString()), { columns: 132, rows: 1, widthPx: 0, heightPx: 0 })
})

test('what the gateway sends is what the browser reads', () => {
  for (const channel of [KUBE_CHANNEL.stdout, KUBE_CHANNEL.stderr])
    assert.deepEqual(read(channelMessage(channel, 'text')), { kind: 'output', bytes: new TextEncoder().encode('text') })
  assert.deepEqual(read(channelClosed(KUBE_CHANNEL.stdin)), { kind: 'other' })
  assert.deepEqual(read(Buffer.alloc(0)), { kind: 'other' })
})

test('how a shell ended is said in words', () => {
  const said = (status: Parameters<typeof printStatus>[0]): unknown => read(channelMessage(KUBE_CHANNEL.error, printStatus(status)))
  assert.deepEqual(said({ kind: 'exited', code: 0 }), { kind: 'status', text: 'The session has ended.', isGood: true })
  assert.deepEqual(said({ kind: 'exited', code: 3 }), { kind: 'status', text: 'The session has ended with exit status 3.', isGood: true })
  const refused = said(new OpsError('POLICY_REFUSED', 'not in this namespace')) as { text: string; isGood: boolean }
  assert.deepEqual([refused.isGood, /not in this namespace/.test(refused.text)], [false, true])
  for (const json of ['', 'null', '[]', '{"details":{"causes":3}}']) assert.equal(read(channelMessage(KUBE_CHANNEL.error, json)).kind, 'status')
})
