import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { InputGate } from '../../src/session/lock.js'

function lane() {
  const gate = new InputGate()
  const { up } = gate.stage()
  assert.ok(up)
  const [source, sink] = [new PassThrough(), new PassThrough()]
  const controller = new AbortController()
  const done = pipeline([source, up, sink], { signal: controller.signal })
  return { gate, source, sink, done, controller }
}
const text = async (sink: PassThrough) => Buffer.concat(await sink.toArray()).toString()

test('a shut gate holds what is typed and lets it through in order when it opens', async () => {
  const { gate, source, sink, done } = lane()
  source.write('one ')
  assert.equal(String((await once(sink)) as Buffer), 'one ')
  assert.equal(gate.lock({ by: 'ann', at: new Date(0) }), true)
  assert.equal(gate.lock({ by: 'bob', at: new Date(1) }), false)
  assert.equal(gate.locked?.by, 'ann')
  source.write('two ')
  source.end('three')
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(sink.readableLength, 0)
  assert.equal(gate.unlock(), true)
  assert.equal(gate.unlock(), false)
  assert.equal(await text(sink), 'two three')
  await done
})

test('a shut gate pushes back: a sender that goes on is held', async () => {
  const { gate, source, done, controller } = lane()
  gate.lock({ by: 'ann', at: new Date(0) })
  const chunk = Buffer.alloc(64 * 1024)
  let written = 0
  while (source.write(chunk) && written < 100) written++
  assert.ok(written < 10)
  controller.abort()
  await assert.rejects(done)
})

test('end-of-file waits behind a shut gate, and a session that ends does not', async () => {
  const { gate, source, sink, done, controller } = lane()
  gate.lock({ by: 'ann', at: new Date(0) })
  source.end()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(sink.writableEnded, false)
  controller.abort()
  await assert.rejects(done)
  gate.unlock()
})

function once(sink: PassThrough): Promise<unknown> {
  return new Promise((resolve) =>
    sink.once('data', (chunk) => {
      sink.pause()
      resolve(chunk)
    }),
  )
}
