/** ATTRS of SFTP (draft s5) and what stands for them here. */
import type { FileAttributes, FileChange, FileKind } from '../../core/files.js'
import type { FieldReader, FieldWriter } from './fields.js'

/** As they go over the wire: what is absent was not sent. */
export interface WireAttributes {
  readonly size?: number
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** st_mode: kind and permissions. */
  readonly permissions?: number
  /** Seconds; whole ones, 32 bits. */
  readonly times?: { readonly atime: number; readonly mtime: number }
  /** Pairs that peers of our own understand: see EXACT_LINKS, EXACT_TIMES. */
  readonly extended?: readonly (readonly [name: string, value: Buffer])[]
}

const FLAG = { size: 0x1, owner: 0x2, permissions: 0x4, times: 0x8, extended: 0x80000000 } as const
/** A stranger may send more pairs; nobody has been seen to. */
const PAIRS_MAX = 16
const S_IFMT = 0o170000
const KINDS: readonly (readonly [bits: number, kind: FileKind])[] = [
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
  [0o020000, 'character-device'],
  [0o060000, 'block-device'],
]
const BITS: ReadonlyMap<FileKind, number> = new Map(KINDS.map(([bits, kind]) => [kind, bits]))
const KIND_OF: ReadonlyMap<number, FileKind> = new Map(KINDS)

/** Number of links as decimal text, between our own peers. */
export const EXACT_LINKS = 'links@dockin'
/** "ATIME MTIME" in seconds with their fraction, between our own peers. */
export const EXACT_TIMES = 'times@dockin'

export function kindOf(stMode: number): FileKind {
  return KIND_OF.get(stMode & S_IFMT) ?? 'unknown'
}

/** st_mode of attributes. */
export function modeOf(attributes: Pick<FileAttributes, 'kind' | 'mode'>): number {
  return (BITS.get(attributes.kind) ?? 0) | (attributes.mode & 0o7777)
}

export function readAttributes(from: FieldReader): WireAttributes {
  const flags = from.u32()
  const has = (flag: number) => (flags & flag) !== 0
  return {
    ...(has(FLAG.size) ? { size: from.u64() } : {}),
    ...(has(FLAG.owner) ? { owner: { uid: from.u32(), gid: from.u32() } } : {}),
    ...(has(FLAG.permissions) ? { permissions: from.u32() } : {}),
    ...(has(FLAG.times) ? { times: { atime: from.u32(), mtime: from.u32() } } : {}),
    ...(has(FLAG.extended) ? { extended: readPairs(from) } : {}),
  }
}

function readPairs(from: FieldReader): (readonly [string, Buffer])[] {
  const pairs: (readonly [string, Buffer])[] = []
  for (let count = from.u32(); count > 0; count--) {
    const pair = [from.bytes().toString('latin1'), from.bytes()] as const
    if (pairs.length < PAIRS_MAX) pairs.push(pair)
  }
  return pairs
}

export function writeAttributes(to: FieldWriter, { size, owner, permissions, times, extended }: WireAttributes): void {
  const flags = (size === undefined ? 0 : FLAG.size) | (owner ? FLAG.owner : 0) | (permissions === undefined ? 0 : FLAG.permissions) | (times ? FLAG.times : 0)
  to.u32(extended ? flags | FLAG.extended : flags)
  if (size !== undefined) to.u64(size)
  if (owner) to.u32(owner.uid).u32(owner.gid)
  if (permissions !== undefined) to.u32(permissions)
  if (times) to.u32(wholeSeconds(times.atime)).u32(wholeSeconds(times.mtime))
  if (!extended) return
  to.u32(extended.length)
  for (const [name, value] of extended) to.text(name).bytes(value)
}

/** @param exact adds the pairs of our own */
export function toWire(attributes: FileAttributes, exact: boolean): WireAttributes {
  const { size, uid, gid, atime, mtime, links } = attributes
  const pairs: (readonly [string, Buffer])[] = [[EXACT_TIMES, Buffer.from(`${atime} ${mtime}`)]]
  if (links !== undefined) pairs.push([EXACT_LINKS, Buffer.from(String(links))])
  return { size, owner: { uid, gid }, permissions: modeOf(attributes), times: { atime, mtime }, ...(exact ? { extended: pairs } : {}) }
}

/** What a peer did not say is 0 or unknown. */
export function fromWire({ size = 0, owner, permissions, times, extended = [] }: WireAttributes): FileAttributes {
  const said = new Map(extended)
  const exact = exactTimes(said.get(EXACT_TIMES)) ?? times
  const links = number(said.get(EXACT_LINKS)?.toString('latin1'))
  return {
    kind: permissions === undefined ? 'unknown' : kindOf(permissions),
    mode: (permissions ?? 0) & 0o7777,
    uid: owner?.uid ?? 0,
    gid: owner?.gid ?? 0,
    size,
    atime: exact?.atime ?? 0,
    mtime: exact?.mtime ?? 0,
    ...(links === undefined ? {} : { links }),
  }
}

/** What a client asks to change; the kind in its permissions says nothing. */
export function changeOf({ size, owner, permissions, times, extended = [] }: WireAttributes): FileChange {
  const exact = exactTimes(new Map(extended).get(EXACT_TIMES)) ?? times
  return {
    ...(permissions === undefined ? {} : { mode: permissions & 0o7777 }),
    ...(owner ? { owner } : {}),
    ...(exact ? { times: exact } : {}),
    ...(size === undefined ? {} : { size }),
  }
}

export function changeToWire({ mode, owner, times, size }: FileChange, exact: boolean): WireAttributes {
  return {
    ...(size === undefined ? {} : { size }),
    ...(owner ? { owner } : {}),
    ...(mode === undefined ? {} : { permissions: mode & 0o7777 }),
    ...(times ? { times } : {}),
    ...(times && exact ? { extended: [[EXACT_TIMES, Buffer.from(`${times.atime} ${times.mtime}`)]] as const } : {}),
  }
}

function exactTimes(text: Buffer | undefined): { atime: number; mtime: number } | undefined {
  const [atime, mtime] = (text?.toString('latin1') ?? '').split(' ').map(number)
  return atime === undefined || mtime === undefined ? undefined : { atime, mtime }
}

function number(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d{1,16}(\.\d{1,20})?$/.test(text)) return undefined
  return Number(text)
}

function wholeSeconds(seconds: number): number {
  return Math.min(Math.max(Math.floor(seconds), 0), 0xffffffff)
}
