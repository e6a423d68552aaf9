/** The packets of SFTP version 3 as tables: draft-ietf-secsh-filexfer-02, and OpenSSH's extensions (its file PROTOCOL, s4). Both directions come from the tables. */
import type { Readable, Writable } from 'node:stream'
import { readAttributes, type WireAttributes, writeAttributes } from './attributes.js'
import { FieldReader, FieldWriter, sftpError } from './fields.js'

/** The two lanes of a session; one Duplex may be both. */
export interface SftpStream {
  /** What the peer sends. */
  readonly readable: Readable
  /** What it is sent. */
  readonly writable: Writable
}

/** Of a server of ours, to a client of ours. */
export const FETCH_EXTENSION = 'fetch@dockin'
/** What a client of ours says in INIT: errors, times and link counts then come whole, and names in large packets. */
export const EXACT_EXTENSION = 'exact@dockin'

/** Kind of field -> its value. */
interface FieldValues {
  readonly u32: number
  readonly u64: number
  readonly bytes: Buffer
  readonly attributes: WireAttributes
}
type FieldKind = keyof FieldValues

interface Shape {
  readonly code: number
  /** Name within an EXTENDED packet. */
  readonly extension?: string
  readonly fields: Readonly<Record<string, FieldKind>>
}
const EXTENDED = 200

/** draft s6; SYMLINK has its arguments as OpenSSH sends them, the target first (PROTOCOL s4.1). */
export const REQUESTS = {
  open: { code: 3, fields: { path: 'bytes', flags: 'u32', attributes: 'attributes' } },
  close: { code: 4, fields: { handle: 'bytes' } },
  read: { code: 5, fields: { handle: 'bytes', offset: 'u64', length: 'u32' } },
  write: { code: 6, fields: { handle: 'bytes', offset: 'u64', data: 'bytes' } },
  lstat: { code: 7, fields: { path: 'bytes' } },
  fstat: { code: 8, fields: { handle: 'bytes' } },
  setstat: { code: 9, fields: { path: 'bytes', attributes: 'attributes' } },
  fsetstat: { code: 10, fields: { handle: 'bytes', attributes: 'attributes' } },
  opendir: { code: 11, fields: { path: 'bytes' } },
  readdir: { code: 12, fields: { handle: 'bytes' } },
  remove: { code: 13, fields: { path: 'bytes' } },
  mkdir: { code: 14, fields: { path: 'bytes', attributes: 'attributes' } },
  rmdir: { code: 15, fields: { path: 'bytes' } },
  realpath: { code: 16, fields: { path: 'bytes' } },
  stat: { code: 17, fields: { path: 'bytes' } },
  rename: { code: 18, fields: { from: 'bytes', to: 'bytes' } },
  readlink: { code: 19, fields: { path: 'bytes' } },
  symlink: { code: 20, fields: { target: 'bytes', path: 'bytes' } },
  posixRename: { code: EXTENDED, extension: 'posix-rename@openssh.com', fields: { from: 'bytes', to: 'bytes' } },
  statvfs: { code: EXTENDED, extension: 'statvfs@openssh.com', fields: { path: 'bytes' } },
  fstatvfs: { code: EXTENDED, extension: 'fstatvfs@openssh.com', fields: { handle: 'bytes' } },
  hardlink: { code: EXTENDED, extension: 'hardlink@openssh.com', fields: { existing: 'bytes', path: 'bytes' } },
  fsync: { code: EXTENDED, extension: 'fsync@openssh.com', fields: { handle: 'bytes' } },
  lsetstat: { code: EXTENDED, extension: 'lsetstat@openssh.com', fields: { path: 'bytes', attributes: 'attributes' } },
  limits: { code: EXTENDED, extension: 'limits@openssh.com', fields: {} },
  expandPath: { code: EXTENDED, extension: 'expand-path@openssh.com', fields: { path: 'bytes' } },
  homeDirectory: { code: EXTENDED, extension: 'home-directory', fields: { user: 'bytes' } },
  /** Ours: opens to read and answers attributes and the first bytes with the handle, which saves a small file its round trips. */
  fetch: { code: EXTENDED, extension: 'fetch@dockin', fields: { path: 'bytes', flags: 'u32', length: 'u32' } },
  copyData: {
    code: EXTENDED,
    extension: 'copy-data',
    fields: { handle: 'bytes', offset: 'u64', length: 'u64', toHandle: 'bytes', toOffset: 'u64' },
  },
} as const satisfies Record<string, Shape>

/** Extension -> the version that VERSION announces. */
export const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ['posix-rename@openssh.com', '1'],
  ['statvfs@openssh.com', '2'],
  ['fstatvfs@openssh.com', '2'],
  ['hardlink@openssh.com', '1'],
  ['fsync@openssh.com', '1'],
  ['lsetstat@openssh.com', '1'],
  ['limits@openssh.com', '1'],
  ['expand-path@openssh.com', '1'],
  ['copy-data', '1'],
  ['home-directory', '1'],
])

export type RequestType = keyof typeof REQUESTS
type ValuesOf<Fields extends Readonly<Record<string, FieldKind>>> = { readonly [Name in keyof Fields]: FieldValues[Fields[Name]] }
/** A request by its type, with the fields of its row. */
export type SftpRequest = {
  [Type in RequestType]: { readonly type: Type; readonly id: number } & ValuesOf<(typeof REQUESTS)[Type]['fields']>
}[RequestType]
/** An EXTENDED request that the table does not have. */
export interface UnknownRequest {
  readonly type: 'unknown'
  readonly id: number
  readonly name: string
}

const BY_CODE: ReadonlyMap<number, RequestType> = byShape((shape) => (shape.extension === undefined ? shape.code : undefined))
const BY_EXTENSION: ReadonlyMap<string, RequestType> = byShape((shape) => shape.extension)

function byShape<Key>(keyOf: (shape: Shape) => Key | undefined): Map<Key, RequestType> {
  const map = new Map<Key, RequestType>()
  for (const [type, shape] of Object.entries(REQUESTS) as [RequestType, Shape][]) {
    const key = keyOf(shape)
    if (key !== undefined) map.set(key, type)
  }
  return map
}

/** The name that an extension goes by; undefined for what every server knows. */
export function extensionOf(type: RequestType): string | undefined {
  const shape: Shape = REQUESTS[type]
  return shape.extension
}

/** The id of any request or response, if the packet is long enough to have one: to answer what could not be read. */
export function idOf(packet: Buffer): number | undefined {
  return packet.length >= 5 ? packet.readUInt32BE(1) : undefined
}

/** @param packet without its length. Bytes behind the last field are passed over, as OpenSSH does. @throws OpsError PROTOCOL_ERROR */
export function readRequest(packet: Buffer): SftpRequest | UnknownRequest {
  const reader = new FieldReader(packet)
  const code = reader.u8()
  const id = reader.u32()
  const name = code === EXTENDED ? reader.bytes().toString('latin1') : undefined
  const type = name === undefined ? BY_CODE.get(code) : BY_EXTENSION.get(name)
  if (type === undefined) return { type: 'unknown', id, name: name ?? `type ${code}` }
  const request: Record<string, FieldValues[FieldKind] | string> = { type, id }
  for (const [field, kind] of Object.entries(REQUESTS[type].fields) as [string, FieldKind][])
    request[field] = kind === 'attributes' ? readAttributes(reader) : reader[kind]()
  return request as SftpRequest
}

export function writeRequest(request: SftpRequest): Buffer[] {
  const shape: Shape = REQUESTS[request.type]
  const writer = new FieldWriter(shape.code).u32(request.id)
  if (shape.extension !== undefined) writer.text(shape.extension)
  writeFields(writer, shape, request as Readonly<Record<string, unknown>>)
  return writer.take()
}

/** One name of a NAME packet. */
export interface WireName {
  readonly name: Buffer
  /** As `ls -l` prints it. */
  readonly longname: Buffer
  readonly attributes: WireAttributes
}
export type SftpResponse = { readonly id: number } & (
  | { readonly type: 'status'; readonly code: number; readonly message: string; readonly language: string }
  | { readonly type: 'handle'; readonly handle: Buffer }
  | { readonly type: 'data'; readonly data: Buffer }
  | { readonly type: 'name'; readonly names: readonly WireName[] }
  | { readonly type: 'attributes'; readonly attributes: WireAttributes }
  /** Of `fetch`: less data than asked for is the whole file. */
  | { readonly type: 'fetched'; readonly handle: Buffer; readonly attributes: WireAttributes; readonly data: Buffer }
  /** Eleven numbers of statvfs, or four of limits. */
  | { readonly type: 'numbers'; readonly numbers: readonly number[] }
)
const RESPONSE = { status: 101, handle: 102, data: 103, name: 104, attributes: 105, numbers: 201, fetched: 202 } as const
/** Fewest bytes that a name takes: two lengths and the flags of its attributes. */
const NAME_BYTES_MIN = 12

export function writeResponse(response: SftpResponse): Buffer[] {
  const writer = new FieldWriter(RESPONSE[response.type]).u32(response.id)
  switch (response.type) {
    case 'status':
      writer.u32(response.code).text(response.message).text(response.language)
      break
    case 'handle':
      writer.bytes(response.handle)
      break
    case 'data':
      writer.bytes(response.data)
      break
    case 'name':
      writer.u32(response.names.length)
      for (const { name, longname, attributes } of response.names) writeAttributes(writer.bytes(name).bytes(longname), attributes)
      break
    case 'attributes':
      writeAttributes(writer, response.attributes)
      break
    case 'fetched':
      writer.bytes(response.handle)
      writeAttributes(writer, response.attributes)
      writer.bytes(response.data)
      break
    case 'numbers':
      for (const number of response.numbers) writer.u64(number)
      break
  }
  return writer.take()
}

/** @throws OpsError PROTOCOL_ERROR */
export function readResponse(packet: Buffer): SftpResponse {
  const reader = new FieldReader(packet)
  const code = reader.u8()
  const id = reader.u32()
  switch (code) {
    case RESPONSE.status: {
      const status = reader.u32()
      // message and language came with version 3; some servers leave them out
      const text = () => (reader.left > 0 ? reader.bytes().toString('utf8') : '')
      return { type: 'status', id, code: status, message: text(), language: text() }
    }
    case RESPONSE.handle:
      return { type: 'handle', id, handle: reader.bytes() }
    case RESPONSE.data:
      return { type: 'data', id, data: reader.bytes() }
    case RESPONSE.name:
      return { type: 'name', id, names: readNames(reader) }
    case RESPONSE.attributes:
      return { type: 'attributes', id, attributes: readAttributes(reader) }
    case RESPONSE.fetched:
      return { type: 'fetched', id, handle: reader.bytes(), attributes: readAttributes(reader), data: reader.bytes() }
    case RESPONSE.numbers: {
      const numbers: number[] = []
      while (reader.left >= 8 && numbers.length < 16) numbers.push(reader.u64())
      return { type: 'numbers', id, numbers }
    }
    default:
      throw sftpError(`a response of type ${code}`)
  }
}

function readNames(reader: FieldReader): WireName[] {
  const count = reader.u32()
  if (count * NAME_BYTES_MIN > reader.left) throw sftpError(`${count} names in ${reader.left} bytes`)
  return Array.from({ length: count }, () => ({ name: reader.bytes(), longname: reader.bytes(), attributes: readAttributes(reader) }))
}

/** INIT of a client (code 1) and VERSION of a server (code 2). */
export interface SftpHello {
  readonly type: 'init' | 'version'
  readonly version: number
  readonly extensions: ReadonlyMap<string, string>
}
const HELLO = { init: 1, version: 2 } as const
const EXTENSIONS_MAX = 64

export function writeHello({ type, version, extensions }: SftpHello): Buffer[] {
  const writer = new FieldWriter(HELLO[type]).u32(version)
  for (const [name, data] of extensions) writer.text(name).text(data)
  return writer.take()
}

/** @throws OpsError PROTOCOL_ERROR when it is another packet */
export function readHello(packet: Buffer, type: SftpHello['type']): SftpHello {
  const reader = new FieldReader(packet)
  const code = reader.u8()
  if (code !== HELLO[type]) throw sftpError(`the peer began with type ${code}, not with ${type.toUpperCase()}`)
  const version = reader.u32()
  const extensions = new Map<string, string>()
  while (reader.left > 0 && extensions.size < EXTENSIONS_MAX) extensions.set(reader.bytes().toString('latin1'), reader.bytes().toString('latin1'))
  return { type, version, extensions }
}

function writeFields(writer: FieldWriter, shape: Shape, values: Readonly<Record<string, unknown>>): void {
  for (const [field, kind] of Object.entries(shape.fields)) {
    const value = values[field]
    if (kind === 'attributes') writeAttributes(writer, value as WireAttributes)
    else if (kind === 'bytes') writer.bytes(value as Buffer)
    else writer[kind](value as number)
  }
}
