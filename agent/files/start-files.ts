/** Starts the child of a file session, and ends it. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { abortReason, OpsError } from '../../src/core/errors.js'
import { escapePeerText } from '../../src/core/log.js'
import { type FilesAnswer, type FilesPlan, SFTP_FD } from './plan.js'

/** The files of one container, as a stream that speaks SFTP. */
export interface FileSession {
  /** Host pid of the child. */
  readonly pid: number
  /** Ends its writable side to end the session. */
  readonly stream: Duplex
  readonly facts: Extract<FilesAnswer, { readonly ok: true }>
  /** Settles once the child has ended. */
  readonly ended: Promise<void>
  /** Kills the child. May be called twice; never rejects. */
  close(): Promise<void>
}

const START_LIMIT_MS = 10_000
/** What survives SIGKILL for so long sits in the kernel (dead NFS); waiting longer does not help. */
const KILL_LIMIT_MS = 5000
const ANSWER_CHARACTERS = 64 * 1024
const COMPLAINT_CHARACTERS = 2000
/** Few threads and a small heap: there may be many of these, and what it holds is bounded by the SFTP server's limits. */
const NODE_OPTIONS = ['--v8-pool-size=1', '--max-semi-space-size=2', '--max-old-space-size=128', '--disable-proto=delete']

/**
 * Resolves once the child serves.
 * @throws OpsError TARGET_GONE, TARGET_UNREACHABLE saying which step failed; the reason of `signal`
 */
export async function startFiles(plan: FilesPlan, signal: AbortSignal): Promise<FileSession> {
  if (signal.aborted) throw abortReason(signal)
  // What this process was started with (keys, addresses) is not the child's; the zone's file would be the container's.
  const child = spawn(process.execPath, [...NODE_OPTIONS, ...program(), JSON.stringify(plan)], {
    cwd: '/',
    env: { TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const ended = endOf(child)
  const close = async () => {
    child.kill('SIGKILL')
    child.stdio[SFTP_FD]?.destroy()
    await Promise.race([ended, sleep(KILL_LIMIT_MS, undefined, { ref: false })])
  }
  const onAbort = () => void child.kill('SIGKILL')
  const limit = setTimeout(onAbort, START_LIMIT_MS)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const facts = await answerOf(child)
    const stream = child.stdio[SFTP_FD] as Duplex
    stream.on('error', () => {}) // whoever carries it hears its end
    return { pid: child.pid ?? 0, stream, facts, ended, close }
  } catch (error) {
    await close()
    throw signal.aborted ? abortReason(signal) : error
  } finally {
    clearTimeout(limit)
    signal.removeEventListener('abort', onAbort)
  }
}

/** What it still has to say on the stream can be read after its end. */
async function endOf(child: ChildProcess): Promise<void> {
  await new Promise((resolve) => {
    // 'error' comes in place of 'exit' when it could not be started
    child.once('exit', resolve).once('error', resolve)
  })
  child.stdout?.destroy()
  child.stderr?.destroy()
}

async function answerOf(child: ChildProcess): Promise<FileSession['facts']> {
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, COMPLAINT_CHARACTERS)
  })
  const answer = parseAnswer(await firstLine(child.stdout))
  if (!answer) throw new OpsError('TARGET_UNREACHABLE', `Cannot start a file session: its child ended at once: ${escapePeerText(complaint)}`)
  if (answer.ok) return answer
  if (answer.isGone) throw new OpsError('TARGET_GONE', `Cannot start a file session: the container has ended: ${answer.reason}`)
  throw new OpsError('TARGET_UNREACHABLE', `Cannot start a file session: ${answer.reason}`, { detail: answer.reason })
}

/** Up to the first line's end; what there is when the stream ends without one. */
function firstLine(from: Readable | null): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const done = () => resolve(text)
    from
      ?.setEncoding('utf8')
      .on('data', (chunk: string) => {
        text += chunk
        if (text.includes('\n') || text.length > ANSWER_CHARACTERS) done()
      })
      .on('end', done)
      .on('close', done)
    if (!from) done()
  })
}

function parseAnswer(line: string): FilesAnswer | undefined {
  try {
    return JSON.parse(line) as FilesAnswer
  } catch {
    return undefined
  }
}

/** Beside this file: from the sources the child needs the loader that this process runs with. */
function program(): string[] {
  const isSource = import.meta.url.endsWith('.ts')
  const path = fileURLToPath(new URL(isSource ? './child.ts' : './child.js', import.meta.url))
  return isSource ? ['--import', import.meta.resolve('tsx'), path] : [path]
}
