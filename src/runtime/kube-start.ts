/** Whether a program that was asked of the API server came to run: its API does not say. */
import type { Readable } from 'node:stream'
import { abortReason, OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import type { ExecRequest, ExitStatus, RemoteProcess } from '../core/types.js'
import { runtimeError } from '../wire/kube-channel.js'
import { findMark, MARK_WORDS } from './kube-script.js'

/** Of a program without a wrapper: what fails at once has failed by then, and the rest runs. */
const PEEK_MS = 250

/**
 * Waits for the wrapper's word at the start of stdout and takes it out.
 * @returns 'no-shell' when the image has no `sh` to run the wrapper
 * @throws OpsError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, BAD_REQUEST (no such directory), PROTOCOL_ERROR
 */
export async function awaitStart(process: RemoteProcess, session: string, request: ExecRequest, signal: AbortSignal): Promise<'runs' | 'no-shell'> {
  let head: Buffer = Buffer.alloc(0)
  for (;;) {
    const chunk = process.stdout.read() as Buffer | null
    if (chunk) head = Buffer.concat([head, chunk])
    const mark = findMark(session, head)
    if (typeof mark === 'object') {
      if (head.length > mark.bytes) process.stdout.unshift(head.subarray(mark.bytes))
      return judge(mark.word, request)
    }
    if (mark === 'none' || (!chunk && !(await readable(process.stdout, process.exit)))) break
  }
  if (signal.aborted) throw abortReason(signal)
  return judgeFailure(process, head)
}

function judge(word: string, request: ExecRequest): 'runs' {
  const program = escapePeerText(request.argv[0] ?? '', 100)
  if (word === MARK_WORDS.notFound) throw new OpsError('COMMAND_NOT_FOUND', `"${program}" was not found in the container`, { detail: program })
  if (word === MARK_WORDS.notExecutable) throw new OpsError('COMMAND_NOT_EXECUTABLE', `"${program}" cannot be executed`, { detail: program })
  if (word === MARK_WORDS.noDirectory) throw new OpsError('BAD_REQUEST', `"${escapePeerText(request.cwd ?? '')}" is no directory that can be entered`)
  return 'runs'
}

/** No word came: dockershim prints the runtime's words and exits with 126, containerd and CRI-O say them in the status. */
async function judgeFailure(process: RemoteProcess, head: Buffer): Promise<'no-shell'> {
  process.stdin.end()
  const rest: Buffer[] = [head]
  for (let chunk: unknown = process.stdout.read(); chunk !== null; chunk = process.stdout.read()) rest.push(chunk as Buffer)
  process.stdout.resume()
  const status = await process.exit.catch((error: unknown) => error)
  const said = status instanceof OpsError ? status : runtimeError(Buffer.concat(rest).toString())
  if (said?.code === 'COMMAND_NOT_FOUND' || said?.code === 'COMMAND_NOT_EXECUTABLE') return 'no-shell'
  if (said) throw said
  throw new OpsError('PROTOCOL_ERROR', `The program was not started: ${escapePeerText(Buffer.concat(rest).toString(), 200)}`)
}

/**
 * Gives a program without a wrapper a moment to fail.
 * @throws OpsError COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE when it did
 */
export async function peekFailure(process: RemoteProcess, signal: AbortSignal): Promise<void> {
  const later = new Promise<undefined>((resolve) => setTimeout(resolve, PEEK_MS, undefined).unref())
  const status: ExitStatus | undefined = await Promise.race([process.exit, later])
  if (signal.aborted) throw abortReason(signal)
  if (status?.kind !== 'exited' || (status.code !== 126 && status.code !== 127)) return
  const chunk = process.stdout.read() as Buffer | null
  const said = runtimeError(chunk?.toString() ?? '')
  if (said) throw said
  if (chunk) process.stdout.unshift(chunk)
}

/** True when there is something to read; false when there never will be. */
function readable(stream: Readable, exit: Promise<unknown>): Promise<boolean> {
  if (stream.readableEnded || stream.destroyed) return Promise.resolve(false)
  return new Promise((resolve) => {
    const settle = (is: boolean) => () => {
      for (const [event, listener] of listeners) stream.off(event, listener)
      resolve(is)
    }
    const listeners: [string, () => void][] = [
      ['readable', settle(true)],
      ['end', settle(false)],
      ['close', settle(false)],
      ['error', settle(false)],
    ]
    for (const [event, listener] of listeners) stream.on(event, listener)
    exit.catch(settle(false))
  })
}
