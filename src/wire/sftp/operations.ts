/** What the SFTP server does at each request: a table over FileAccess. */
import { type FileAccess, FileError, type FilePath, type FileSystemFacts } from '../../core/files.js'
import { changeOf, toWire, type WireAttributes } from './attributes.js'
import { copyData } from './copy-data.js'
import type { HandleTable } from './handle-table.js'
import { CONTENT_BYTES, PACKET_BYTES, type SftpLimits } from './limits.js'
import { longname } from './longname.js'
import { OPEN_FLAG, openMode } from './open-flags.js'
import type { RequestType, SftpRequest, SftpResponse, WireName } from './packets.js'
import type { Turn } from './request-order.js'
import { eofStatus, okStatus } from './status.js'
import { StreamReader } from './stream-reader.js'

export interface OperationContext {
  readonly files: FileAccess
  readonly handles: HandleTable
  readonly limits: SftpLimits
  /** The client is one of ours: attributes carry what version 3 cannot. */
  readonly isExact: boolean
  readonly signal: AbortSignal
}
type RequestOf<Type extends RequestType> = Extract<SftpRequest, { readonly type: Type }>
type Operation<Type extends RequestType> = (context: OperationContext, request: RequestOf<Type>) => Promise<SftpResponse>

const EMPTY = Buffer.alloc(0)
/** Fixed bytes of one name beside its name and longname: lengths and attributes. */
const NAME_OVERHEAD_BYTES = 60

const OPERATIONS: { readonly [Type in RequestType]: Operation<Type> } = {
  open: async ({ files, handles }, { id, path, flags, attributes }) => {
    const mode = openMode(flags)
    const place = handles.reserve()
    const { mode: permissions } = changeOf(attributes)
    try {
      const kept = checked(path)
      const file = await files.open(kept, mode, permissions === undefined ? undefined : { mode: permissions })
      return {
        type: 'handle',
        id,
        handle: place.fill({ kind: 'file', path: kept, file, isAppend: mode.append, reader: mode.write ? undefined : StreamReader.of(file) }),
      }
    } finally {
      place.free()
    }
  },
  fetch: async ({ files, handles }, { id, path, flags, length }) => {
    const mode = openMode(flags)
    if (mode.write) throw new FileError('INVALID', 'Only what is read can be fetched')
    const place = handles.reserve()
    try {
      const kept = checked(path)
      const file = await files.open(kept, mode)
      try {
        const attributes = toWire(await file.stat(), true)
        // the last thing to be asked for: content may be lent until the next call
        const data = await file.read(0, Math.min(length, CONTENT_BYTES))
        return { type: 'fetched', id, handle: place.fill({ kind: 'file', path: kept, file, isAppend: false, reader: undefined }), attributes, data }
      } catch (error) {
        await file.close().catch(() => {}) // the first failure is the one to tell
        throw error
      }
    } finally {
      place.free()
    }
  },
  close: async ({ handles }, { id, handle }) => {
    await handles.close(handle)
    return okStatus(id)
  },
  read: async ({ handles }, { id, handle, offset, length }) => {
    const { file, reader } = handles.file(handle)
    const data = await (reader ?? file).read(offset, Math.min(length, CONTENT_BYTES))
    return data.length === 0 ? eofStatus(id) : { type: 'data', id, data }
  },
  write: async ({ handles }, { id, handle, offset, data }) => {
    if (offset + data.length > Number.MAX_SAFE_INTEGER) throw new FileError('INVALID', 'No file is that large')
    await handles.file(handle).file.write(offset, data)
    return okStatus(id)
  },
  lstat: async (context, { id, path }) => ({ type: 'attributes', id, attributes: toWire(await context.files.lstat(checked(path)), context.isExact) }),
  stat: async (context, { id, path }) => ({ type: 'attributes', id, attributes: toWire(await context.files.stat(checked(path)), context.isExact) }),
  fstat: async (context, { id, handle }) => {
    const thing = context.handles.any(handle)
    const attributes = thing.kind === 'file' ? await thing.file.stat() : await context.files.stat(thing.path)
    return { type: 'attributes', id, attributes: toWire(attributes, context.isExact) }
  },
  setstat: async ({ files }, { id, path, attributes }) => {
    await files.setAttributes(checked(path), changeOf(attributes), true)
    return okStatus(id)
  },
  lsetstat: async ({ files }, { id, path, attributes }) => {
    await files.setAttributes(checked(path), changeOf(attributes), false)
    return okStatus(id)
  },
  fsetstat: async ({ files, handles }, { id, handle, attributes }) => {
    const thing = handles.any(handle)
    if (thing.kind === 'file') await thing.file.setAttributes(changeOf(attributes))
    else await files.setAttributes(thing.path, changeOf(attributes), true)
    return okStatus(id)
  },
  opendir: async ({ files, handles }, { id, path }) => {
    const place = handles.reserve()
    try {
      const kept = checked(path)
      const portions = files.list(kept)[Symbol.asyncIterator]()
      // the first portion is read now: that there is no such directory is to be said here
      const first = await portions.next()
      return { type: 'handle', id, handle: place.fill({ kind: 'directory', path: kept, portions, rest: first.done ? [] : first.value }) }
    } finally {
      place.free()
    }
  },
  readdir: async (context, { id, handle }) => {
    const directory = context.handles.directory(handle)
    while (directory.rest.length === 0) {
      const next = await directory.portions.next()
      if (next.done) return eofStatus(id)
      directory.rest = next.value
    }
    const names: WireName[] = []
    const nowSeconds = Date.now() / 1000
    let bytes = 0
    for (const { name, attributes } of directory.rest) {
      const line = context.isExact ? EMPTY : longname(name, attributes, nowSeconds)
      bytes += NAME_OVERHEAD_BYTES + name.length + line.length
      if (names.length > 0 && bytes > context.limits.nameBytes) break
      names.push({ name, longname: line, attributes: toWire(attributes, context.isExact) })
    }
    directory.rest = directory.rest.slice(names.length)
    return { type: 'name', id, names }
  },
  remove: async ({ files }, { id, path }) => {
    await files.remove(checked(path))
    return okStatus(id)
  },
  mkdir: async ({ files }, { id, path, attributes }) => {
    const { mode } = changeOf(attributes)
    await files.mkdir(checked(path), mode === undefined ? undefined : { mode })
    return okStatus(id)
  },
  rmdir: async ({ files }, { id, path }) => {
    await files.rmdir(checked(path))
    return okStatus(id)
  },
  realpath: async ({ files }, { id, path }) => oneName(id, await files.realpath(checked(path))),
  rename: async ({ files }, { id, from, to }) => {
    await files.rename(checked(from), checked(to), false)
    return okStatus(id)
  },
  posixRename: async ({ files }, { id, from, to }) => {
    await files.rename(checked(from), checked(to), true)
    return okStatus(id)
  },
  readlink: async ({ files }, { id, path }) => oneName(id, await files.readlink(checked(path))),
  symlink: async ({ files }, { id, target, path }) => {
    await files.symlink(checked(target), checked(path))
    return okStatus(id)
  },
  hardlink: async ({ files }, { id, existing, path }) => {
    await files.link(checked(existing), checked(path))
    return okStatus(id)
  },
  statvfs: async ({ files }, { id, path }) => facts(id, await files.statvfs(checked(path))),
  fstatvfs: async ({ files, handles }, { id, handle }) => facts(id, await files.statvfs(handles.any(handle).path)),
  fsync: async ({ handles }, { id, handle }) => {
    await handles.file(handle).file.sync()
    return okStatus(id)
  },
  limits: async ({ limits }, { id }) => ({ type: 'numbers', id, numbers: [PACKET_BYTES, CONTENT_BYTES, CONTENT_BYTES, limits.handles] }),
  expandPath: async ({ files }, { id, path }) => oneName(id, await files.realpath(expanded(files, checked(path)))),
  homeDirectory: async ({ files }, { id }) => oneName(id, files.home),
  copyData: async ({ handles, signal }, { id, handle, offset, length, toHandle, toOffset }) => {
    await copyData({ from: handles.file(handle), offset, length, to: handles.file(toHandle), toOffset }, signal)
    return okStatus(id)
  },
}

/** @throws FileError */
export function operate(context: OperationContext, request: SftpRequest): Promise<SftpResponse> {
  const operation = OPERATIONS[request.type] as Operation<RequestType>
  return operation(context, request as RequestOf<RequestType>)
}

const LOOKS: ReadonlySet<RequestType> = new Set<RequestType>([
  'fetch',
  'stat',
  'lstat',
  'realpath',
  'readlink',
  'opendir',
  'statvfs',
  'limits',
  'expandPath',
  'homeDirectory',
])

/** How a request stands to others; see RequestOrder. */
export function turnOf(request: SftpRequest, handles: HandleTable): Turn {
  if (request.type === 'open') return { kind: (request.flags & ~OPEN_FLAG.read) === 0 ? 'look' : 'change' }
  // two handles: nothing runs beside it
  if (request.type === 'copyData') return { kind: 'change' }
  const handle = 'handle' in request ? handles.numberOf(request.handle) : undefined
  if (handle === undefined) return { kind: LOOKS.has(request.type) ? 'look' : 'change' }
  if (request.type === 'read' || request.type === 'fstat') return { kind: 'read', handle }
  if (request.type !== 'write') return { kind: 'handle', handle }
  const thing = handles.peek(handle)
  if (thing?.kind === 'file' && thing.isAppend) return { kind: 'write', handle }
  return { kind: 'write', handle, from: request.offset, to: request.offset + request.data.length }
}

/** Bytes of content that a request and its answer may hold. */
export function contentBytes(request: SftpRequest, limits: SftpLimits): number {
  if (request.type === 'read' || request.type === 'fetch') return Math.min(request.length, CONTENT_BYTES)
  if (request.type === 'write') return request.data.length
  return request.type === 'readdir' ? limits.nameBytes : 512
}

/** A copy, for the packet's memory is the session's; no NUL. The empty path is the home, as in OpenSSH. */
function checked(path: Buffer): FilePath {
  if (path.includes(0)) throw new FileError('INVALID', 'A path holds a NUL byte')
  return path.length === 0 ? Buffer.from('.') : Buffer.from(path)
}

/** "~" and "~/x"; other users' homes are not known. */
function expanded(files: FileAccess, path: FilePath): FilePath {
  if (path[0] !== 0x7e) return path
  if (path.length === 1) return files.home
  if (path[1] !== 0x2f) throw new FileError('UNSUPPORTED', "Another user's home is not known here")
  return Buffer.concat([files.home, path.subarray(1)])
}

function oneName(id: number, name: Buffer): SftpResponse {
  const attributes: WireAttributes = {}
  return { type: 'name', id, names: [{ name, longname: name, attributes }] }
}

/** PROTOCOL s4.4; fsid is not told. */
function facts(id: number, of: FileSystemFacts): SftpResponse {
  const { blockSize, fragmentSize, blocks, freeBlocks, availableBlocks, files, freeFiles, availableFiles, flags, maxNameLength } = of
  const numbers = [blockSize, fragmentSize, blocks, freeBlocks, availableBlocks, files, freeFiles, availableFiles, 0, flags, maxNameLength]
  return { type: 'numbers', id, numbers }
}
