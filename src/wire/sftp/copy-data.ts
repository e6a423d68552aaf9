/** OpenSSH's copy-data: from one open file to another without the client between. */
import { abortReason } from '../../core/errors.js'
import { FileError } from '../../core/files.js'
import type { OpenFile } from './handle-table.js'
import { CONTENT_BYTES } from './limits.js'

export interface CopyPlan {
  readonly from: OpenFile
  readonly offset: number
  /** 0 is up to the end. */
  readonly length: number
  readonly to: OpenFile
  readonly toOffset: number
}

/** @throws FileError INVALID for a copy onto the same handle, as OpenSSH refuses it where it overlaps; FAILURE when the source is too short */
export async function copyData({ from, offset, length, to, toOffset }: CopyPlan, signal: AbortSignal): Promise<void> {
  if (from === to) throw new FileError('INVALID', 'copy-data from a handle onto itself')
  const end = length === 0 ? Number.MAX_SAFE_INTEGER : offset + length
  let at = offset
  while (at < end) {
    if (signal.aborted) throw abortReason(signal)
    const data = await from.file.read(at, Math.min(CONTENT_BYTES, end - at))
    if (data.length === 0) {
      if (length === 0) return
      throw new FileError('FAILURE', 'The source ends before the length asked for')
    }
    await to.file.write(toOffset + (at - offset), data)
    at += data.length
  }
}
