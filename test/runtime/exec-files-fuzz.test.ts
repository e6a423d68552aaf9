/** What a container prints is an outsider's word: whatever it is, it ends as values that make sense or as a FileError. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { FileError } from '../../src/core/files.js'
import type { ExitStatus, RemoteProcess } from '../../src/core/types.js'
import { attributesOf, entriesOf, fileSystemOf } from '../../src/runtime/exec-files-answers.js'
import { errorOf } from '../../src/runtime/exec-files-errors.js'
import { FilesShell, newMark } from '../../src/runtime/exec-files-shell.js'

const RUNS = 1000
const bytes = (most: number) => fc.uint8Array({ maxLength: most }).map((data) => Buffer.from(data))
/** Near to what stat prints: the mistakes that matter are small ones. */
const statLine = fc
  .array(fc.oneof(fc.constantFrom('81a4', '41ed', 'a1ff', '0', '-1', 'NaN', 'Infinity', '', 'x', '1e400', '0x10', '1.5'), fc.integer().map(String)), {
    maxLength: 9,
  })
  .map((words) => words.join(' '))

function orFileError<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    assert.ok(error instanceof FileError, String(error))
    assert.doesNotMatch(error.message, /\p{Cc}/u)
    return undefined
  }
}
const isCount = (value: number | undefined): boolean => value === undefined || (Number.isFinite(value) && value >= 0)

test('attributes make sense or are an error', () => {
  fc.assert(
    fc.property(fc.oneof(statLine, fc.string()), (line) => {
      const found = orFileError(() => attributesOf(line))
      if (!found) return
      assert.ok([found.size, found.uid, found.gid, found.links].every(isCount), JSON.stringify(found))
      assert.ok(Number.isFinite(found.atime) && Number.isFinite(found.mtime))
      assert.ok(found.mode >= 0 && found.mode <= 0o7777)
    }),
    { numRuns: RUNS },
  )
})

test('a listing gives names that lead nowhere else, or is an error', () => {
  const entry = fc.tuple(statLine, bytes(12)).map(([line, name]) => Buffer.concat([Buffer.from(`${line} ./`), name, Buffer.from('/\n')]))
  const listing = fc.oneof(
    bytes(300),
    fc.array(fc.oneof(entry, bytes(6)), { maxLength: 6 }).map((parts) => Buffer.concat(parts)),
  )
  fc.assert(
    fc.property(listing, (data) => {
      for (const { name } of orFileError(() => entriesOf(data)) ?? []) {
        assert.ok(name.length > 0 && !name.includes(0x2f), name.toString('hex'))
        assert.ok(!['.', '..'].includes(name.toString('latin1')))
      }
    }),
    { numRuns: RUNS },
  )
})

test('facts of a file system are numbers or an error', () => {
  fc.assert(
    fc.property(fc.oneof(statLine, fc.string()), (line) => {
      const found = orFileError(() => fileSystemOf(line))
      if (found) assert.ok(Object.values(found).every((value) => Number.isFinite(value)))
    }),
    { numRuns: RUNS },
  )
})

test('whatever tools say is one line for the user', () => {
  const said = fc.oneof(
    bytes(200),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
    fc.constantFrom('!MOVED', '!X', ': no such file').map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(said, (data) => {
      const error = errorOf(data)
      assert.ok(error instanceof FileError)
      assert.doesNotMatch(error.message, /\p{Cc}/u)
      assert.ok(error.message.length > 0 && error.message.length < 1000)
    }),
    { numRuns: RUNS },
  )
})

/** A container that prints what it likes. */
class Babbler implements RemoteProcess {
  readonly via = 'test'
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly exit: Promise<ExitStatus>
  isClosed = false
  #end: (status: ExitStatus) => void = () => {}
  constructor() {
    this.stdin.resume()
    this.exit = new Promise((resolve) => {
      this.#end = resolve
    })
    this.stdin.once('end', () => this.#end({ kind: 'exited', code: 0 }))
  }
  resize(): void {}
  kill(): void {}
  async close(): Promise<void> {
    this.isClosed = true
    this.#end({ kind: 'exited', code: 0 })
  }
}

test('a conversation with a container that prints anything, in any pieces, settles: each question is answered or lost', async () => {
  const piece = fc.oneof(
    bytes(80),
    fc.constantFrom('MARK', 'MARK 1 0\n', 'MARK 2 0\n', 'MARK 1 1\n', 'MARK 9 0\n', '\n').map((text) => Buffer.from(text)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
      const mark = newMark()
      const process = new Babbler()
      const shell = new FilesShell(process, mark)
      const asked = [shell.ask({ operation: 'stat', args: ['/x'] }), shell.ask({ operation: 'read', args: ['/x'], mostBytes: 16 })]
      const settled = Promise.allSettled(asked)
      for (const each of pieces) process.stdout.write(Buffer.from(each.toString('latin1').replaceAll('MARK', mark), 'latin1'))
      process.stdout.end()
      for (const result of await settled) if (result.status === 'rejected') assert.ok(result.reason instanceof FileError)
      await shell.close()
      assert.ok(process.isClosed)
      await assert.rejects(shell.ask({ operation: 'stat', args: ['/x'] }), { code: 'CONNECTION_LOST' })
    }),
    { numRuns: 300 },
  )
})
