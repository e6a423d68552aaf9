/**
 * The line that an rsync client gives its far side: `rsync --server [--sender] -FLAGS [--OPTION...] . PATH...`
 * (rsync 3.2.7, options.c, server_options()). Taken word by word; what is not known is refused, because some options make
 * the server start programs, listen, read a config or write elsewhere.
 */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'

export interface RsyncRequest {
  readonly direction: 'upload' | 'download'
  /** `--remove-source-files`: a download that deletes. */
  readonly removesSources: boolean
}

/** Flags of one letter. Not `s` (arguments would come later, unseen) and not `M`, `f`, `T`, which take a word. */
const FLAGS = /^-[vqndlLkKbuHpEogDtOJrRWxSzcIymaAXUNihP]*(?:B\d{1,9})?(?:e\d*\.[A-Za-z]*)?$/

/** Long options that a client passes on, by their names; each may have a value. */
const OPTIONS: ReadonlySet<string> = new Set(
  `acls append backup-dir block-size bwlimit checksum-choice checksum-seed compare-dest compress-choice compress-level copy-dest
  copy-unsafe-links debug delay-updates delete delete-after delete-before delete-delay delete-during delete-excluded
  delete-missing-args existing fake-super files-from force from0 fuzzy groupmap iconv ignore-errors ignore-existing
  ignore-missing-args info inplace link-dest links list-only log-format max-alloc max-delete max-size min-size mkpath
  modify-window msgs2stderr munge-links new-compress no-i-r no-implied-dirs no-inc-recursive no-msgs2stderr no-r no-relative
  no-W numeric-ids old-compress omit-dir-times omit-link-times one-file-system only-write-batch open-noatime out-format partial
  partial-dir perms preallocate remove-sent-files remove-source-files safe-links sender server size-only skip-compress
  stats stderr stop-after stop-at suffix super temp-dir timeout use-qsort usermap xattrs zc zl`.split(/\s+/),
)
const REMOVES: ReadonlySet<string> = new Set(['remove-source-files', 'remove-sent-files'])

/** @param words of a line that begins `rsync --server` @throws OpsError FILE_REFUSED naming the word that is not taken */
export function readRsync(words: readonly string[]): RsyncRequest {
  const options = words.slice(2).filter((word) => word.startsWith('-'))
  // popt takes options wherever they stand, so every word that looks like one is one
  for (const option of options) if (!isKnown(option)) throw refused(option)
  if (words[0] !== 'rsync' || words[1] !== '--server') throw refused(words[1] ?? '')
  const names = options.map(nameOf)
  return { direction: names.includes('sender') ? 'download' : 'upload', removesSources: names.some((name) => REMOVES.has(name)) }
}

function isKnown(option: string): boolean {
  return option.startsWith('--') ? OPTIONS.has(nameOf(option)) && !option.includes('\0') : FLAGS.test(option)
}
function nameOf(option: string): string {
  return /^--([^=]*)/.exec(option)?.[1] ?? ''
}
function refused(option: string): OpsError {
  const shown = escapePeerText(option, 100)
  const why = /^-[A-Za-z]*s/.test(option) ? ' (arguments that are sent later cannot be seen: do without --secluded-args)' : ''
  return new OpsError('FILE_REFUSED', `rsync refused: option ${shown}`, { detail: `rsync’s option ${shown} is not taken here${why}` })
}
