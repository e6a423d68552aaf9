/**
 * Records of the old scp protocol (OpenSSH scp.c, `scp -O`): bytes in, values out, and back. One line each, ended by a
 * newline: `C0644 12 name`, `D0755 0 name`, `E`, `T<mtime> 0 <atime> 0`; and one byte of answer: 0 goes on, 1 is a warning
 * with a line, 2 an error with a line after which the peer ends.
 */

export type ScpRecord =
  | { readonly kind: 'file'; readonly mode: number; readonly size: number; readonly name: Buffer }
  | { readonly kind: 'directory'; readonly mode: number; readonly name: Buffer }
  | { readonly kind: 'end' }
  /** Seconds since 1970, for the record that follows. */
  | { readonly kind: 'times'; readonly mtime: number; readonly atime: number }
  | { readonly kind: 'warning' | 'error'; readonly text: string }

/** The longest line taken: a name of 255 bytes, each encoded as four, with room for numbers and for a peer's words. */
export const MAX_RECORD_BYTES = 4096

/** What a line is not. `message` is for the peer, without its bytes. */
export class ScpError extends Error {
  override readonly name = 'ScpError'
}

/** @param line without its newline @throws ScpError for whatever scp's own sink would call a protocol error */
export function parseScpRecord(line: Buffer): ScpRecord {
  const kind = line[0]
  // a warning's or error's text may hold anything
  if (kind === 1 || kind === 2) return { kind: kind === 1 ? 'warning' : 'error', text: line.subarray(1).toString('utf8') }
  const text = line.toString('latin1')
  if (text === 'E') return { kind: 'end' }
  const entry = /^([CD])([0-7]{4}) (\d{1,16}) (.+)$/s.exec(text)
  if (entry) return parseEntry(entry, line)
  const times = /^T(\d{1,12}) (\d{1,6}) (\d{1,12}) (\d{1,6})$/.exec(text)
  if (times) return { kind: 'times', mtime: Number(times[1]), atime: Number(times[3]) }
  throw new ScpError('protocol error: not a record of scp')
}

function parseEntry([, letter, mode, digits, name]: RegExpExecArray, line: Buffer): ScpRecord {
  const size = Number(digits)
  if (!Number.isSafeInteger(size)) throw new ScpError('protocol error: size out of range')
  const bytes = Buffer.from(line.subarray(line.length - (name ?? '').length))
  if (!isName(bytes)) throw new ScpError('protocol error: unexpected filename')
  const permissions = Number.parseInt(mode ?? '', 8)
  return letter === 'C' ? { kind: 'file', mode: permissions, size, name: bytes } : { kind: 'directory', mode: permissions, name: bytes }
}

/** One component: what a peer names must not lead elsewhere (CVE-2018-20685, CVE-2019-6111). */
function isName(name: Buffer): boolean {
  const text = name.toString('latin1')
  return text !== '' && text !== '.' && text !== '..' && !/[/\0\n]/.test(text)
}

/** @returns the record's bytes with its newline */
export function formatScpRecord(record: ScpRecord): Buffer {
  switch (record.kind) {
    case 'file':
      return entry(`C${octal(record.mode)} ${record.size} `, record.name)
    case 'directory':
      return entry(`D${octal(record.mode)} 0 `, record.name)
    case 'end':
      return Buffer.from('E\n')
    case 'times':
      return Buffer.from(`T${whole(record.mtime)} 0 ${whole(record.atime)} 0\n`)
    default:
      return Buffer.from(`${record.kind === 'warning' ? '\x01' : '\x02'}${record.text.replace(/[\p{Cc}]+/gu, ' ')}\n`)
  }
}

function entry(head: string, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head), shownName(name), Buffer.from('\n')])
}
/** A newline would end the record; scp writes the name as vis(3) with VIS_NL shows it. Nothing else is changed. */
function shownName(name: Buffer): Buffer {
  return name.includes(0x0a) ? Buffer.from(name.toString('latin1').replaceAll('\\', '\\\\').replaceAll('\n', '\\^J'), 'latin1') : name
}
function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
/** Times before 1970 have no form in the protocol. */
function whole(seconds: number): string {
  return String(Math.max(0, Math.floor(seconds)))
}
