/** Doors that move files: sftp and scp are served by the gateway itself, rsync by the image's program. */
import type { Readable, Writable } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { FileAccess } from '../core/files.js'
import type { Allowed, Door, Executor, FileRule, RemoteProcess, Session, Target } from '../core/types.js'
import type { RsyncRequest } from './rsync.js'

/** Work on a target's files that a door does itself, in place of a protocol over its lanes. Answers the exit status. */
export type FileErrand = (files: FileAccess, lanes: { readonly input: Readable; readonly output: Writable }, signal: AbortSignal) => Promise<number>

export interface TransferContext {
  readonly session: Session
  /** Door scp: the words of the line. */
  readonly words: readonly string[]
  /** The container's files; the started process owns them. */
  readonly files: FileAccess
  /** In place of sftp and scp. */
  readonly errand?: FileErrand
}
/** Serves SFTP or scp, each operation decided and told to the audit. @throws OpsError BAD_REQUEST for words that are not scp's */
export type StartTransfer = (context: TransferContext) => RemoteProcess

/** Served here, with nothing of the image running. */
export function isServedTransfer(door: Door): door is 'sftp' | 'scp' {
  return door === 'sftp' || door === 'scp'
}

/** A rule under which nothing can be moved is told at once, not file by file. @throws OpsError FILE_REFUSED */
export function refuseWithoutFiles({ rule, files }: Allowed): void {
  if (!files || files.upload || files.download) return
  throw new OpsError('FILE_REFUSED', `open refused: rule "${rule}" allows no transfers`, { detail: `the rule allows no transfers; rule ${rule}`, rule })
}

/**
 * rsync's files pass where this gateway does not see them: of a rule it can be held to the direction, and to nothing else.
 * @throws OpsError FILE_REFUSED
 */
export function refuseUnheldRsync({ rule, files }: Allowed, { direction, removesSources }: RsyncRequest): void {
  if (!files) return
  const refuse = (reason: string): never => {
    throw new OpsError('FILE_REFUSED', `open refused: rule "${rule}" limits files`, { detail: `${reason}; rule ${rule}`, rule })
  }
  if (!files[direction]) refuse(`the rule allows no ${direction}s`)
  const limits = limitsBeyondDirection(files)
  if (limits.length > 0) refuse(`the rule limits files (${limits.join(', ')}), and rsync cannot be held to that: use sftp or scp`)
  if (removesSources && !files.upload) refuse('the rule allows no uploads, and rsync would remove what it has sent')
}

function limitsBeyondDirection(files: FileRule): string[] {
  const set = {
    paths: files.denyPaths.length > 0 || files.allowPaths !== undefined,
    maxUpload: files.maxUpload !== undefined,
    maxDownload: files.maxDownload !== undefined,
    maxFiles: files.maxFiles !== undefined,
    types: files.types !== undefined,
    keep: files.keep !== undefined,
  }
  return Object.entries(set).flatMap(([name, isSet]) => (isSet ? name : []))
}

/** The way to a container's files, where its cluster has one. @throws OpsError BAD_REQUEST where it has not */
export async function filesOf(executor: Executor, target: Target, signal: AbortSignal): Promise<FileAccess> {
  if (executor.files) return executor.files(target, signal)
  const detail = 'files are not served on the way to this cluster, which knows commands only (see docs/files.md)'
  throw new OpsError('BAD_REQUEST', `${executor.name} leads to no files`, { detail })
}

/** @throws OpsError BAD_REQUEST, TARGET_UNREACHABLE, TARGET_GONE */
export async function startTransfer(
  session: Session,
  words: readonly string[] | undefined,
  files: (signal: AbortSignal) => Promise<FileAccess>,
  start: StartTransfer | undefined,
  signal: AbortSignal,
  errand?: FileErrand,
): Promise<RemoteProcess> {
  const access = await files(signal)
  try {
    if (!start) throw new OpsError('BAD_REQUEST', 'no file server configured', { detail: 'this gateway serves no files' })
    return start({ session, words: words ?? [], files: access, ...(errand && { errand }) })
  } catch (error) {
    await access.close()
    throw error
  }
}

/** Where the image has none, the line says so and what works instead. */
export function noRsync(error: unknown): unknown {
  if (!(error instanceof OpsError) || error.code !== 'COMMAND_NOT_FOUND') return error
  const detail = 'the image has no rsync; sftp and scp work without it'
  return new OpsError('COMMAND_NOT_FOUND', 'the image has no rsync', { cause: error, detail })
}
