import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../../src/core/errors.js'
import type { FileAttributes, FileKind } from '../../../src/core/files.js'
import { changeOf, changeToWire, fromWire, toWire, type WireAttributes } from '../../../src/wire/sftp/attributes.js'
import { PACKET_BYTES } from '../../../src/wire/sftp/limits.js'
import { PacketSplitter } from '../../../src/wire/sftp/packet-splitter.js'
import {
  REQUESTS,
  type RequestType,
  readHello,
  readRequest,
  readResponse,
  type SftpRequest,
  type SftpResponse,
  writeHello,
  writeRequest,
  writeResponse,
} from '../../../src/wire/sftp/packets.js'

const u32 = fc.integer({ min: 0, max: 0xffffffff })
const u64 = fc.maxSafeNat()
const bytes = fc.uint8Array({ maxLength: 9000 }).map((array) => Buffer.from(array))
const attributes: fc.Arbitrary<WireAttributes> = fc.record(
  {
    size: u64,
    owner: fc.record({ uid: u32, gid: u32 }),
    permissions: u32,
    times: fc.record({ atime: u32, mtime: u32 }),
    extended: fc.array(
      fc.tuple(
        fc.stringMatching(/^[a-z@.]{1,20}$/),
        fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
      ),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: [] },
)
const KINDS = { u32, u64, bytes, attributes }
const request: fc.Arbitrary<SftpRequest> = fc.oneof(
  ...(Object.keys(REQUESTS) as RequestType[]).map((type) => {
    const fields = Object.entries(REQUESTS[type].fields as Record<string, keyof typeof KINDS>).map(([name, kind]) => [name, KINDS[kind]])
    return fc.record({ type: fc.constant(type), id: u32, ...Object.fromEntries(fields) }) as fc.Arbitrary<SftpRequest>
  }),
)
const text = fc.string({ maxLength: 60 })
const response: fc.Arbitrary<SftpResponse> = fc.oneof(
  fc.record({ type: fc.constant('status' as const), id: u32, code: u32, message: text, language: text }),
  fc.record({ type: fc.constant('handle' as const), id: u32, handle: bytes }),
  fc.record({ type: fc.constant('data' as const), id: u32, data: bytes }),
  fc.record({ type: fc.constant('name' as const), id: u32, names: fc.array(fc.record({ name: bytes, longname: bytes, attributes }), { maxLength: 5 }) }),
  fc.record({ type: fc.constant('attributes' as const), id: u32, attributes }),
  fc.record({ type: fc.constant('numbers' as const), id: u32, numbers: fc.array(u64, { maxLength: 16 }) }),
)

/** What a splitter makes of a stream that is cut at `cuts`. */
function split(stream: Buffer, cuts: readonly number[], splitter = new PacketSplitter()): Buffer[] {
  const packets: Buffer[] = []
  const edges = [0, ...cuts.map((cut) => cut % (stream.length + 1)).sort((a, b) => a - b), stream.length]
  edges.slice(1).forEach((end, index) => {
    splitter.push(stream.subarray(edges[index], end))
    for (let packet = splitter.next(); packet; packet = splitter.next()) packets.push(packet)
  })
  return packets
}
function one(parts: Buffer[]): Buffer {
  const [packet, ...more] = split(Buffer.concat(parts), [])
  assert.ok(packet)
  assert.equal(more.length, 0)
  return packet
}
/** Without the prototypes of views. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

test('every request reads as what was written', () => {
  fc.assert(
    fc.property(request, (made) => assert.deepEqual(plain(readRequest(one(writeRequest(made)))), plain(made))),
    { numRuns: 500 },
  )
})
test('every response reads as what was written', () => {
  fc.assert(
    fc.property(response, (made) => assert.deepEqual(plain(readResponse(one(writeResponse(made)))), plain(made))),
    { numRuns: 500 },
  )
})
test('a stream of packets may be cut anywhere', () => {
  const cuts = fc.array(fc.nat(100_000), { maxLength: 30 })
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 6 }), cuts, (made, at) => {
      const stream = Buffer.concat(made.flatMap(writeRequest))
      assert.deepEqual(plain(split(stream, at).map(readRequest)), plain(made))
    }),
    { numRuns: 200 },
  )
})
test('bytes of anybody are read or refused as PROTOCOL_ERROR, never more', () => {
  const start = fc.constantFrom(...Array.from({ length: 22 }, (_, code) => code), 101, 102, 103, 104, 105, 200, 201)
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (code, rest) => {
      const packet = Buffer.from([code, ...rest])
      for (const read of [readRequest, readResponse, (p: Buffer) => readHello(p, 'init'), (p: Buffer) => readHello(p, 'version')]) {
        try {
          read(packet)
        } catch (error) {
          assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR', String(error))
        }
      }
    }),
    { numRuns: 5000 },
  )
})
test('one byte changed in a packet is read or refused, never more', () => {
  fc.assert(
    fc.property(request, fc.nat(), fc.nat(255), (made, at, byte) => {
      const packet = Buffer.from(one(writeRequest(made)))
      packet[at % packet.length] = byte
      try {
        readRequest(packet)
      } catch (error) {
        assert.ok(error instanceof OpsError && error.code === 'PROTOCOL_ERROR', String(error))
      }
    }),
    { numRuns: 500 },
  )
})
test('a splitter holds no packet above the limit, and none of 0 bytes', () => {
  for (const length of [0, PACKET_BYTES * 2, 0xffffffff]) {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(length)
    for (const cuts of [[], [2], [4]]) assert.throws(() => split(head, cuts), { code: 'PROTOCOL_ERROR' })
  }
})
test('a count of names that the packet cannot hold is refused before room is made', () => {
  const packet = Buffer.from([104, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
  assert.throws(() => readResponse(packet), { code: 'PROTOCOL_ERROR' })
})
test('INIT and VERSION carry extensions', () => {
  for (const type of ['init', 'version'] as const) {
    const hello = {
      type,
      version: 3,
      extensions: new Map([
        ['posix-rename@openssh.com', '1'],
        ['x', ''],
      ]),
    }
    assert.deepEqual(readHello(one(writeHello(hello)), type), hello)
  }
})
test('an unknown extension has its name, an unknown type its number', () => {
  const extended = Buffer.concat([Buffer.from([200, 0, 0, 0, 9, 0, 0, 0, 3]), Buffer.from('abc')])
  assert.deepEqual(readRequest(extended), { type: 'unknown', id: 9, name: 'abc' })
  assert.deepEqual(readRequest(Buffer.from([77, 0, 0, 0, 9])), { type: 'unknown', id: 9, name: 'type 77' })
})
test('attributes go over the wire and back', () => {
  const kinds: FileKind[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'character-device', 'block-device']
  const any: fc.Arbitrary<FileAttributes> = fc.record({
    kind: fc.constantFrom(...kinds),
    mode: fc.nat(0o7777),
    uid: u32,
    gid: u32,
    size: u64,
    atime: fc.nat(4_000_000_000).map((quarter) => quarter / 4),
    mtime: fc.nat(4_000_000_000).map((quarter) => quarter / 4),
    links: fc.nat(70_000),
  })
  fc.assert(
    fc.property(any, (made) => {
      assert.deepEqual(plain(fromWire(toWire(made, true))), plain(made))
      const { links: _links, ...old } = { ...made, atime: Math.floor(made.atime), mtime: Math.floor(made.mtime) }
      assert.deepEqual(plain(fromWire(toWire(old, false))), plain(old))
      const change = { mode: made.mode, owner: { uid: made.uid, gid: made.gid }, times: { atime: made.atime, mtime: made.mtime }, size: made.size }
      assert.deepEqual(plain(changeOf(changeToWire(change, true))), plain(change))
    }),
  )
})
