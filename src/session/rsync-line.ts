/** rsync's far side where a door takes it for any other command: HTTP, WebSocket, batches, and lines of ssh that need a shell. */
import { OpsError } from '../core/errors.js'
import type { Allowed } from '../core/types.js'
import { readRsync } from './rsync.js'
import { refuseUnheldRsync } from './transfer.js'

/** One word that a shell takes as it stands, 'quoted' pieces included. */
const WORD = /^(?:[\p{L}\p{N}_@%+=:,./^-]|'[^'\p{Cc}]*')+$/u
const SERVER = /(?:^|[^\w.-])rsync\s(?:.*\s)?--server(?:\s|$)/s

/**
 * Holds `rsync --server …` in a line to the rule's files as the door `rsync` does: to the direction, or not at all. In a
 * line that a shell must read first nobody knows the words, so there a rule about files refuses it. Other lines pass:
 * what a program reads and writes is for the rule's commands.
 * @throws OpsError FILE_REFUSED
 */
export function refuseUnheldRsyncLine(grant: Allowed, line: string): void {
  const { files, rule } = grant
  if (!files || !SERVER.test(line.replace(/['"\\]/g, ''))) return
  const [program = '', ...rest] = line.match(/(?:[^\s']|'[^']*')+/g) ?? []
  const isPlain = !/[\r\n]/.test(line) && [program, ...rest].every((word) => WORD.test(word))
  if (isPlain && /^(?:.*\/)?rsync$/.test(unquoted(program))) {
    refuseUnheldRsync(grant, readRsync(['rsync', ...rest.map(unquoted)]))
    return
  }
  const isFree = files.upload && files.download && Object.keys(files).every((key) => key === 'upload' || key === 'download' || isEmpty(Reflect.get(files, key)))
  if (isFree) return
  const detail = `the rule limits files, and rsync in a longer line cannot be held to that: give it as a line of its own, or use sftp or scp; rule ${rule}`
  throw new OpsError('FILE_REFUSED', `open refused: rule "${rule}" limits files`, { detail, rule })
}

function unquoted(word: string): string {
  return word.replaceAll("'", '')
}
function isEmpty(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0)
}
