/** Short questions to the container, beside the shell: one exec each, without a terminal. */
import { OpsError } from '../core/errors.js'
import type { Exec } from './bootstrap.js'

const MAX_ANSWER_BYTES = 256 * 1024
const LIMIT_MS = 3000

/**
 * Runs `argv` and answers what it printed.
 * @throws OpsError TARGET_UNREACHABLE after 3 s, LIMIT_EXCEEDED beyond 256 KiB, what the executor throws
 */
export function askOver(exec: Exec): (argv: readonly string[], signal: AbortSignal) => Promise<string> {
  return async (argv, signal) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)])
    const process = await exec({ argv, env: {} }, limit)
    try {
      process.stdin.end()
      process.stderr?.resume()
      const parts: Buffer[] = []
      let bytes = 0
      for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
        limit.throwIfAborted()
        bytes += chunk.length
        if (bytes > MAX_ANSWER_BYTES) throw new OpsError('LIMIT_EXCEEDED', `Cannot ask "${argv[0] ?? ''}": it answered more than ${MAX_ANSWER_BYTES} bytes`)
        parts.push(chunk)
      }
      return Buffer.concat(parts).toString('utf8')
    } finally {
      await process.close()
    }
  }
}

const SIZE_SCRIPT = 'if [ -f "$1" ]; then stat -L -c %s -- "$1" || echo unknown; elif [ -e "$1" ]; then echo other; else echo none; fi'

/**
 * Bytes of a file, undefined when there is none (or it is no file). Rejects when it cannot be measured.
 * A device or a FIFO has no size: it counts as endless.
 */
export function fileSizeOver(ask: (argv: readonly string[], signal: AbortSignal) => Promise<string>) {
  return async (path: string, signal: AbortSignal): Promise<number | undefined> => {
    const answer = (await ask(['/bin/sh', '-c', SIZE_SCRIPT, 'sh', path], signal)).trim()
    if (answer === 'none') return undefined
    if (answer === 'other') return (await isDirectory(ask, path, signal)) ? undefined : Number.POSITIVE_INFINITY
    if (/^\d+$/.test(answer)) return Number(answer)
    throw new OpsError('TARGET_UNREACHABLE', `Cannot measure "${path}": the target answered "${answer.slice(0, 80)}"`)
  }
}

async function isDirectory(ask: (argv: readonly string[], signal: AbortSignal) => Promise<string>, path: string, signal: AbortSignal): Promise<boolean> {
  return (await ask(['/bin/sh', '-c', '[ -d "$1" ] && echo yes', 'sh', path], signal)).trim() === 'yes'
}
