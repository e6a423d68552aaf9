/** The line of `ls -l` that NAME packets carry beside each name; old clients print it as it is. */
import type { FileAttributes } from '../../core/files.js'
import { modeOf } from './attributes.js'

const KIND_LETTER = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  'character-device': 'c',
  'block-device': 'b',
  unknown: '?',
} as const
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const HALF_YEAR_SECONDS = 365 * 12 * 3600

/** OpenSSH's layout (sftp-common.c, ls_file), times in UTC. Control bytes of the name become "?": this is only to be looked at. */
export function longname(name: Buffer, attributes: FileAttributes, nowSeconds: number): Buffer {
  const { links = 1, uid, gid, size, mtime } = attributes
  const columns = [
    modeText(attributes),
    String(links).padStart(3),
    String(uid).padEnd(8),
    String(gid).padEnd(8),
    String(size).padStart(8),
    dateText(mtime, nowSeconds),
    '',
  ]
  return Buffer.concat([Buffer.from(columns.join(' ')), printable(name)])
}

function printable(name: Buffer): Buffer {
  if (!name.some(isControl)) return name
  return Buffer.from(name.map((byte) => (isControl(byte) ? 0x3f : byte)))
}

function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f
}

function modeText(attributes: FileAttributes): string {
  const mode = modeOf(attributes)
  const letter = (bit: number, yes: string) => (mode & bit ? yes : '-')
  const run = (execute: number, special: number, both: string) => (mode & special ? (mode & execute ? both : both.toUpperCase()) : mode & execute ? 'x' : '-')
  return [
    KIND_LETTER[attributes.kind],
    letter(0o400, 'r'),
    letter(0o200, 'w'),
    run(0o100, 0o4000, 's'),
    letter(0o040, 'r'),
    letter(0o020, 'w'),
    run(0o010, 0o2000, 's'),
    letter(0o004, 'r'),
    letter(0o002, 'w'),
    run(0o001, 0o1000, 't'),
  ].join('')
}

function dateText(seconds: number, nowSeconds: number): string {
  const date = new Date(Math.min(Math.max(seconds, 0), 8e12) * 1000)
  const day = `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`
  const isRecent = seconds <= nowSeconds && nowSeconds - seconds < HALF_YEAR_SECONDS
  return `${day} ${isRecent ? date.toISOString().slice(11, 16) : ` ${date.getUTCFullYear()}`}`
}
