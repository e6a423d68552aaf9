/** Paths as bytes, and as text where people, rules and the audit read them. */
import { isUtf8 } from 'node:buffer'
import type { FilePath } from '../core/files.js'

const SLASH = 0x2f
const DOT = 0x2e

/** `path` itself when it is absolute, else below `home`. Dots stay: what they mean depends on links. */
export function absolutePath(path: FilePath, home: FilePath): FilePath {
  if (path[0] === SLASH) return path
  return path.length === 0 ? home : joined(home, path)
}

export function joined(folder: FilePath, name: Buffer): FilePath {
  return folder.at(-1) === SLASH ? Buffer.concat([folder, name]) : Buffer.concat([folder, Buffer.of(SLASH), name])
}

/**
 * The folder of an absolute path and the name in it; slashes at the end do not count.
 * @returns undefined where the last component is no name of its own ("/", ".", "..")
 */
export function parted(path: FilePath): { readonly folder: FilePath; readonly name: Buffer } | undefined {
  let end = path.length
  while (end > 0 && path[end - 1] === SLASH) end--
  const start = path.lastIndexOf(SLASH, end - 1) + 1
  const name = path.subarray(start, end)
  if (end === 0 || isDots(name)) return undefined
  return { folder: start > 1 ? path.subarray(0, start - 1) : Buffer.from('/'), name: Buffer.from(name) }
}

/** "." or "..". */
export function isDots(name: Buffer): boolean {
  return name.length > 0 && name.length < 3 && name.every((byte) => byte === DOT)
}

/** For globs and messages: bytes that are no UTF-8 show as U+FFFD. */
export function pathText(path: FilePath): string {
  return path.toString('utf8')
}

/** The fields of an audit event: text, and the bytes beside it where the text does not tell them. */
export function pathFields(path: FilePath): { readonly path: string; readonly pathBase64?: string } {
  return { path: pathText(path), ...(!isUtf8(path) && { pathBase64: path.toString('base64') }) }
}
export function toFields(path: FilePath): { readonly to: string; readonly toBase64?: string } {
  return { to: pathText(path), ...(!isUtf8(path) && { toBase64: path.toString('base64') }) }
}
