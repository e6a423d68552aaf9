/** What every FileAccess must do. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { type DirectoryEntry, type FileAccess, FileError, type FileErrorCode, type FilePath, type OpenMode } from '../../src/core/files.js'

export interface FileAccessContract {
  readonly name: string
  /** Asked for again after a test has closed one. */
  open(): Promise<FileAccess>
  /** An empty directory that the files' user may write to. */
  folder(): Promise<string> | string
  /** Reason to skip all of it. */
  readonly skip?: string | false
  /** What `via` must look like. */
  readonly via?: RegExp
  /** What this way cannot do: it must answer UNSUPPORTED. */
  readonly lacks?: readonly ('link' | 'statvfs' | 'linkTimes' | 'append' | 'rangedWrite')[]
  /** Seconds that times may be off by; default 0.001. */
  readonly timesWithin?: number
  /** Entries of the long listing; default 3000. */
  readonly longListing?: number
}

export const READ: OpenMode = { read: true, write: false, append: false, create: false, truncate: false, exclusive: false }
export const WRITE: OpenMode = { read: false, write: true, append: false, create: true, truncate: true, exclusive: false }

export async function entriesOf(files: FileAccess, path: FilePath): Promise<DirectoryEntry[]> {
  const all: DirectoryEntry[] = []
  for await (const portion of files.list(path)) all.push(...portion)
  return all
}

export async function put(files: FileAccess, path: FilePath, data: Buffer | string, mode?: number): Promise<void> {
  const handle = await files.open(path, WRITE, mode === undefined ? undefined : { mode })
  await handle.write(0, Buffer.from(data))
  await handle.close()
}

export async function get(files: FileAccess, path: FilePath): Promise<Buffer> {
  const handle = await files.open(path, READ)
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const part = await handle.read(at, 200_000)
    if (part.length === 0) break
    parts.push(part)
    at += part.length
  }
  await handle.close()
  return Buffer.concat(parts)
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}

const ODD_NAMES = [
  Buffer.from('new\nline'),
  Buffer.from('"quotes\' `and` $(more); \\ *?[x]'),
  Buffer.from([0x62, 0x61, 0x64, 0xff, 0xfe, 0xc3, 0x28]),
  Buffer.from('-rf'),
  Buffer.from(' blank '),
  Buffer.from('\u001b[31mred\u0007'),
  Buffer.from('한글-ü-😀'),
  Buffer.from('...'),
  Buffer.alloc(255, 0x78),
]

/** Registers the suite; call it at the top of a test file. */
export function fileAccessContract(contract: FileAccessContract): void {
  describe(contract.name, { skip: contract.skip ?? false, timeout: 120_000 }, () => {
    let files: FileAccess
    let folder: string
    let count = 0
    before(async () => {
      files = await contract.open()
      folder = await contract.folder()
    })
    after(() => files?.close())
    const lacks = (what: NonNullable<FileAccessContract['lacks']>[number]) => contract.lacks?.includes(what) ?? false
    /** A path that no test has used. */
    const fresh = (name = 'f') => Buffer.from(`${folder}/${name}${count++}`)
    const under = (path: FilePath, name: string | Buffer) => Buffer.concat([path, Buffer.from('/'), Buffer.from(name)])
    const refuses = (work: Promise<unknown>, ...codes: FileErrorCode[]) =>
      assert.rejects(work, (error) => {
        assert.ok(error instanceof FileError, String(error))
        assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
        assert.doesNotMatch(error.message, /\p{Cc}/u)
        return true
      })
    const closeTo = (actual: number, expected: number) =>
      assert.ok(Math.abs(actual - expected) <= (contract.timesWithin ?? 0.001), `${actual} is not ${expected}`)

    test('home is absolute and the start of relative paths', async () => {
      assert.match(files.via, contract.via ?? /./)
      assert.equal(files.home[0], 0x2f)
      assert.deepEqual(await files.realpath(Buffer.from('.')), await files.realpath(files.home))
      assert.equal((await files.stat(files.home)).kind, 'directory')
    })

    test('a file keeps its bytes', async () => {
      const path = fresh()
      const data = randomBytes(3_000_001)
      await put(files, path, data)
      assert.equal((await files.stat(path)).size, data.length)
      assert.equal(sha256(await get(files, path)), sha256(data))
      const handle = await files.open(path, READ)
      assert.deepEqual(await handle.read(data.length - 10, 100), data.subarray(-10))
      assert.equal((await handle.read(data.length, 100)).length, 0)
      assert.equal((await handle.read(data.length + 4096, 100)).length, 0)
      assert.deepEqual(await handle.read(1_000_000, 600_000), data.subarray(1_000_000, 1_600_000))
      await handle.close()
    })

    test('an empty file is a file', async () => {
      const path = fresh()
      await (await files.open(path, WRITE)).close()
      assert.deepEqual(await get(files, path), Buffer.alloc(0))
      assert.equal((await files.stat(path)).kind, 'file')
    })

    test('reads side by side answer each its own part', async () => {
      const path = fresh()
      const data = randomBytes(64 * 10_000)
      await put(files, path, data)
      const handle = await files.open(path, READ)
      const parts = await Promise.all(Array.from({ length: 64 }, (_, index) => handle.read(index * 10_000, 10_000)))
      assert.equal(sha256(Buffer.concat(parts)), sha256(data))
      await handle.close()
    })

    test('writes side by side, out of order and with a gap come together', async () => {
      const path = fresh()
      const handle = await files.open(path, { ...WRITE, read: true })
      if (lacks('rangedWrite')) {
        await refuses(handle.write(100, Buffer.from('x')), 'UNSUPPORTED')
        await handle.close().catch(() => {})
        return
      }
      const data = randomBytes(32 * 5000)
      const order = Array.from({ length: 32 }, (_, index) => index).reverse()
      await Promise.all(order.map((index) => handle.write(1000 + index * 5000, data.subarray(index * 5000, (index + 1) * 5000))))
      await handle.sync()
      await handle.close()
      assert.equal(sha256(await get(files, path)), sha256(Buffer.concat([Buffer.alloc(1000), data])))
    })

    test('open says whether a file must be there, must not, is cut, is appended to', async () => {
      const path = fresh()
      await refuses(files.open(path, READ), 'NO_SUCH_FILE')
      await refuses(files.open(path, { ...WRITE, create: false, truncate: false }), 'NO_SUCH_FILE')
      await refuses(files.open(under(fresh(), 'x'), WRITE), 'NO_SUCH_FILE')
      await put(files, path, 'hello')
      await refuses(files.open(under(path, 'x'), WRITE), 'NOT_DIRECTORY')
      await refuses(files.open(path, { ...WRITE, exclusive: true }), 'EXISTS')
      assert.equal((await get(files, path)).toString(), 'hello')
      if (!lacks('append')) {
        const handle = await files.open(path, { ...WRITE, truncate: false, append: true })
        await handle.write(0, Buffer.from(' world'))
        await handle.write(0, Buffer.from('!'))
        await handle.close()
        assert.equal((await get(files, path)).toString(), 'hello world!')
      }
      await put(files, path, 'x')
      assert.equal((await get(files, path)).toString(), 'x')
    })

    test('what is no regular file is not opened', async () => {
      await refuses(files.open(Buffer.from(folder), READ), 'IS_DIRECTORY')
      await refuses(files.open(Buffer.from('/dev/null'), READ), 'NOT_REGULAR')
      await refuses(files.open(Buffer.from('/dev/zero'), { ...WRITE, truncate: false }), 'NOT_REGULAR')
      assert.equal((await files.stat(Buffer.from('/dev/null'))).kind, 'character-device')
    })

    test('names are bytes', async () => {
      const home = fresh('odd')
      await files.mkdir(home)
      for (const name of ODD_NAMES) await put(files, under(home, name), name)
      const names = (await entriesOf(files, home)).map(({ name }) => name.toString('hex'))
      assert.deepEqual(names.sort(), ODD_NAMES.map((name) => name.toString('hex')).sort())
      for (const name of ODD_NAMES) {
        assert.deepEqual(await get(files, under(home, name)), name)
        await files.rename(under(home, name), under(home, 'moved'), true)
        await files.remove(under(home, 'moved'))
      }
      await files.rmdir(home)
      await refuses(put(files, under(Buffer.from(folder), Buffer.alloc(256, 0x78)), ''), 'NAME_TOO_LONG')
    })

    test('symbolic links are followed where they should be', async () => {
      const [target, link, dangling, loop] = [fresh('target'), fresh('link'), fresh('dangling'), fresh('loop')]
      await put(files, target, 'content')
      await files.symlink(target, link)
      await files.symlink(Buffer.from('no/where'), dangling)
      await files.symlink(loop, loop)
      assert.deepEqual(await files.readlink(link), target)
      assert.equal((await files.lstat(link)).kind, 'symlink')
      assert.equal((await files.stat(link)).kind, 'file')
      assert.equal((await get(files, link)).toString(), 'content')
      assert.equal((await files.lstat(dangling)).kind, 'symlink')
      await refuses(files.stat(dangling), 'NO_SUCH_FILE')
      await refuses(files.stat(loop), 'SYMLINK_LOOP')
      await refuses(files.readlink(target), 'INVALID')
      await refuses(files.symlink(target, link), 'EXISTS')
      const kinds = new Map((await entriesOf(files, Buffer.from(folder))).map(({ name, attributes }) => [name.toString(), attributes.kind]))
      assert.equal(kinds.get(link.toString().slice(folder.length + 1)), 'symlink')
      await files.remove(link)
      assert.equal((await get(files, target)).toString(), 'content')
    })

    test('realpath has neither links nor dots, and its end need not exist', async () => {
      const [home, link, ahead] = [fresh('real'), fresh('link'), fresh('ahead')]
      await files.mkdir(home)
      await files.symlink(home, link)
      const real = await files.realpath(home)
      assert.deepEqual(await files.realpath(under(link, '../'.concat(home.toString().slice(folder.length + 1), '/./'))), real)
      assert.deepEqual(await files.realpath(under(link, 'new')), under(real, 'new'))
      await refuses(files.realpath(under(link, 'new/newer')), 'NO_SUCH_FILE')
      // what is created through such a link appears at its target
      await files.symlink(under(link, 'there'), ahead)
      assert.deepEqual(await files.realpath(ahead), under(real, 'there'))
      assert.deepEqual(await files.realpath(Buffer.from('/../..')), Buffer.from('/'))
    })

    test('directories come, go and are refused in order', async () => {
      const home = fresh('dir')
      await files.mkdir(home, { mode: 0o750 })
      assert.deepEqual(pick(await files.stat(home)), { kind: 'directory', mode: 0o750 })
      await refuses(files.mkdir(home), 'EXISTS')
      await refuses(files.mkdir(under(home, 'a/b')), 'NO_SUCH_FILE')
      await put(files, under(home, 'f'), '')
      await refuses(files.rmdir(home), 'NOT_EMPTY', 'EXISTS')
      await refuses(files.rmdir(under(home, 'f')), 'NOT_DIRECTORY')
      await refuses(files.remove(home), 'IS_DIRECTORY')
      await refuses(entriesOf(files, under(home, 'f')), 'NOT_DIRECTORY')
      await refuses(entriesOf(files, under(home, 'none')), 'NO_SUCH_FILE')
      await files.remove(under(home, 'f'))
      await refuses(files.remove(under(home, 'f')), 'NO_SUCH_FILE')
      assert.deepEqual(await entriesOf(files, home), [])
      await files.rmdir(home)
      await refuses(files.stat(home), 'NO_SUCH_FILE')
    })

    test('rename replaces only when it may', async () => {
      const [one, two] = [fresh(), fresh()]
      await put(files, one, 'one')
      await put(files, two, 'two')
      await refuses(files.rename(one, two, false), 'EXISTS')
      assert.equal((await get(files, two)).toString(), 'two')
      await files.rename(one, two, true)
      assert.equal((await get(files, two)).toString(), 'one')
      await refuses(files.rename(one, two, true), 'NO_SUCH_FILE')
      await files.rename(two, one, false)
      await refuses(files.stat(two), 'NO_SUCH_FILE')
      const [home, other] = [fresh('dir'), fresh('dir')]
      await files.mkdir(home)
      await files.mkdir(other)
      await refuses(files.rename(home, other, false), 'EXISTS')
      await files.rmdir(other)
      await files.rename(home, other, false)
      assert.equal((await files.stat(other)).kind, 'directory')
    })

    test('a hard link is the same file', async () => {
      const [one, two] = [fresh(), fresh()]
      await put(files, one, 'same')
      if (lacks('link')) return refuses(files.link(one, two), 'UNSUPPORTED')
      await files.link(one, two)
      assert.equal((await get(files, two)).toString(), 'same')
      assert.equal((await files.stat(one)).links, 2)
      await refuses(files.link(one, two), 'EXISTS')
    })

    test('mode, times and size can be set by path and by handle', async () => {
      const [path, link] = [fresh(), fresh()]
      await put(files, path, '0123456789', 0o640)
      assert.equal((await files.stat(path)).mode, 0o640)
      await files.setAttributes(path, { mode: 0o604, times: { atime: 1_000_000_000, mtime: 1_234_567_890.5 } }, true)
      const set = await files.stat(path)
      assert.equal(set.mode, 0o604)
      closeTo(set.atime, 1_000_000_000)
      closeTo(set.mtime, 1_234_567_890.5)
      await files.setAttributes(path, { size: 4 }, true)
      assert.equal((await get(files, path)).toString(), '0123')
      const handle = await files.open(path, { ...WRITE, truncate: false })
      await handle.setAttributes({ size: 6, mode: 0o600 })
      const { size, mode } = await handle.stat()
      assert.deepEqual({ size, mode }, { size: 6, mode: 0o600 })
      await handle.close()
      assert.equal((await get(files, path)).toString(), '0123\0\0')
      await refuses(files.setAttributes(fresh(), { mode: 0o600 }, true), 'NO_SUCH_FILE')
      await files.symlink(path, link)
      if (lacks('linkTimes')) return refuses(files.setAttributes(link, { times: { atime: 5, mtime: 5 } }, false), 'UNSUPPORTED')
      await files.setAttributes(link, { times: { atime: 2_000_000, mtime: 3_000_000 } }, false)
      closeTo((await files.lstat(link)).mtime, 3_000_000)
      assert.notEqual((await files.stat(link)).mtime, 3_000_000)
    })

    test('a long directory is told whole, in portions, and can be left', async () => {
      const home = fresh('long')
      const most = contract.longListing ?? 3000
      await files.mkdir(home)
      const names = Array.from({ length: most }, (_, index) => `entry-${index}`)
      for (let at = 0; at < most; at += 100) await Promise.all(names.slice(at, at + 100).map((name) => put(files, under(home, name), name)))
      const seen = await entriesOf(files, home)
      assert.deepEqual(seen.map(({ name }) => name.toString()).sort(), names.sort())
      assert.ok(seen.every(({ name, attributes }) => attributes.kind === 'file' && attributes.size === name.length))
      for await (const portion of files.list(home)) {
        assert.ok(portion.length > 0)
        break
      }
      assert.equal((await files.stat(home)).kind, 'directory')
    })

    test('statvfs tells of the file system', async () => {
      if (lacks('statvfs')) return refuses(files.statvfs(Buffer.from(folder)), 'UNSUPPORTED')
      const { blockSize, fragmentSize, blocks, freeBlocks, maxNameLength } = await files.statvfs(Buffer.from(folder))
      assert.ok(blockSize > 0 && fragmentSize > 0 && blocks > 0 && freeBlocks <= blocks && maxNameLength >= 200)
      await refuses(files.statvfs(fresh()), 'NO_SUCH_FILE')
    })

    test('a handle may be closed twice, and is of no more use', async () => {
      const path = fresh()
      await put(files, path, 'x')
      const handle = await files.open(path, READ)
      await handle.close()
      await handle.close()
      await refuses(handle.read(0, 1), 'INVALID', 'CONNECTION_LOST')
    })

    test('closing ends what is open, and may be asked for twice', async () => {
      const other = await contract.open()
      const path = fresh()
      await put(other, path, 'x')
      const handle = await other.open(path, READ)
      await Promise.all([other.close(), other.close()])
      await refuses(handle.read(0, 1), 'CONNECTION_LOST')
      await refuses(other.stat(path), 'CONNECTION_LOST')
    })
  })
}

function pick({ kind, mode }: { readonly kind: string; readonly mode: number }): object {
  return { kind, mode }
}
