/** A container's files through the API server: one exec of `sh` for as long as they are wanted. */
import { abortReason, OpsError } from '../core/errors.js'
import { FileError } from '../core/files.js'
import { type ExecRequest, type RemoteProcess, type Target, targetText } from '../core/types.js'
import { ExecFiles, factsOf } from './exec-files.js'
import { FILES_SCRIPT } from './exec-files-script.js'
import { FilesShell, newMark } from './exec-files-shell.js'

/**
 * @param exec of the executor; the process it starts bears a mark and is swept with all its children
 * @param signal aborting ends it while it begins; afterwards there is close()
 * @throws OpsError TARGET_UNREACHABLE, TARGET_GONE; BAD_REQUEST where the image holds no shell or too few tools
 */
export async function openKubeFiles(
  exec: (request: ExecRequest, signal: AbortSignal) => Promise<RemoteProcess>,
  target: Target,
  signal: AbortSignal,
): Promise<ExecFiles> {
  const beginning = new AbortController()
  const onAbort = () => beginning.abort(abortReason(signal))
  if (signal.aborted) throw abortReason(signal)
  signal.addEventListener('abort', onAbort, { once: true })
  let shell: FilesShell | undefined
  try {
    const mark = newMark()
    const process = await exec({ argv: ['sh', '-c', FILES_SCRIPT, 'sh', mark], env: {} }, beginning.signal).catch((error: unknown) => {
      throw refusal(error, target)
    })
    shell = new FilesShell(process, mark)
    const facts = factsOf(await shell.hello())
    if (facts.missing.length > 0) throw lacking(target, `the image has no ${facts.missing.join(', ')}`)
    return new ExecFiles(shell, facts, `${process.via} sh`)
  } catch (error) {
    await shell?.close()
    if (signal.aborted) throw abortReason(signal)
    if (error instanceof FileError)
      throw new OpsError('TARGET_UNREACHABLE', `Cannot open the files of ${targetText(target)}: ${error.message}`, { cause: error })
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function refusal(error: unknown, target: Target): unknown {
  const isShellless = error instanceof OpsError && (error.code === 'COMMAND_NOT_FOUND' || error.code === 'COMMAND_NOT_EXECUTABLE')
  return isShellless ? lacking(target, 'the image has no shell', error) : error
}

function lacking(target: Target, what: string, cause?: unknown): OpsError {
  const detail = `${what}, which files through the API server need; the agent on the node needs nothing (see docs/files.md)`
  return new OpsError('BAD_REQUEST', `No files of ${targetText(target)}: ${what}`, { detail, cause })
}
