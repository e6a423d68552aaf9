// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell text
/** Runs lines in real shells where every program is a stub that writes down how it was called. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dialect } from '../../../src/core/types.js'
import { LETTERS } from './generator.js'

export interface Shell {
  readonly name: string
  readonly argv: readonly string[]
  /** `any`: the line came by exec, and whatever /bin/sh is reads it. */
  readonly dialect: Dialect | 'any'
}
const BASH = ['/bin/bash', '--noprofile', '--norc']
const DASH = ['/bin/dash']
const ASH = ['/bin/busybox', 'ash']
export const SHELLS: readonly Shell[] = [
  { name: 'bash', argv: BASH, dialect: 'bash' },
  { name: 'dash', argv: DASH, dialect: 'posix' },
  { name: 'ash', argv: ASH, dialect: 'posix' },
  { name: 'exec in bash', argv: BASH, dialect: 'any' },
  { name: 'exec in bash --posix', argv: [...BASH, '--posix'], dialect: 'any' },
  { name: 'exec in dash', argv: DASH, dialect: 'any' },
  { name: 'exec in ash', argv: ASH, dialect: 'any' },
  { name: 'exec in mksh', argv: ['/bin/mksh'], dialect: 'any' },
]
/** Programs that are what they are; all they can start are stubs. */
const REAL = ['env', 'nice', 'nohup', 'timeout', 'stdbuf', 'setsid', 'xargs', 'find', 'sh', 'busybox']

/** What the lines of a batch ran: for each line the argument lists in order, and last those that cannot be told to be of any one. */
export interface Ran {
  readonly calls: readonly (readonly string[])[][]
  /** Lines that ended; the next one was still running when the time was up (a loop without end). */
  readonly finished: number
}

/** A directory whose bin holds stubs for every name of up to four letters. */
export class Sandbox {
  readonly #root = mkdtempSync(join(tmpdir(), 'soundness-'))
  #batches = 0

  constructor() {
    const bin = join(this.#root, 'bin')
    mkdirSync(bin)
    // One printf, one write: calls of a pipeline cannot mix in the log.
    const stub = join(bin, '.stub')
    writeFileSync(stub, '#!/bin/dash\nprintf "%s\\037" "\u001e$N" "${0##*/}" "$@" >>"$L"\n')
    chmodSync(stub, 0o755)
    for (const name of names(4)) symlinkSync('.stub', join(bin, name))
    for (const name of REAL) {
      const path = ['/usr/bin', '/bin'].map((directory) => join(directory, name)).find((each) => existsSync(each))
      if (path !== undefined) symlinkSync(path, join(bin, name))
    }
  }

  /** Runs each line as the guarded shell would, `eval '<line>'` in a subshell of its own, or as an exec door, `sh -c '<line>'`. */
  async run(shell: Shell, lines: readonly string[], timeoutMs: number): Promise<Ran> {
    const id = `${shell.name.replaceAll(' ', '-')}-${this.#batches++}`
    const log = join(this.#root, `${id}.log`)
    const work = join(this.#root, id)
    mkdirSync(work)
    writeFileSync(log, '')
    const reads = shell.dialect === 'any' ? `export N; exec ${shell.argv.join(' ')} -c` : 'eval'
    const script = lines
      .map((line, i) => `N=${i}; ( ${reads} '${line.replaceAll("'", "'\\''")}' ) </dev/null >/dev/null 2>&1\nprintf '\\036D\\037' >>"$L"\n`)
      .join('')
    const file = join(this.#root, `${id}.sh`)
    writeFileSync(file, `ulimit -t 10\n${script}`)
    const [program = '', ...args] = shell.argv
    const complete = await new Promise<boolean>((resolve) => {
      const env = { PATH: join(this.#root, 'bin'), L: log, N: '', v: 'value', HOME: '/root' }
      // A group of its own: what a line left running ends with it.
      const child = spawn(program, [...args, file], { cwd: work, env, stdio: 'ignore', detached: true })
      const end = (): void => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
        } catch (error) {
          // ESRCH: nothing is left of the group, which is what was wanted.
          if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
        }
      }
      const timer = setTimeout(end, timeoutMs)
      child.on('close', (code) => {
        clearTimeout(timer)
        end()
        resolve(code !== null)
      })
      child.on('error', () => resolve(false))
    })
    const text = readFileSync(log, 'utf8')
    return { calls: readLog(text, lines.length), finished: complete ? lines.length : text.split('\u001eD\u001f').length - 1 }
  }

  close(): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
  /** For a reader of a failure. */
  files(): readonly string[] {
    return readdirSync(this.#root)
  }
}

function names(length: number): string[] {
  if (length === 0) return []
  const shorter = names(length - 1)
  const longest = shorter.filter((name) => name.length === length - 1)
  return [...shorter, ...(length === 1 ? LETTERS : longest.flatMap((name) => LETTERS.map((letter) => name + letter)))]
}
/** Calls carry the number of their line, because what a line left in the background may speak up during the next. */
function readLog(text: string, count: number): string[][][] {
  const lines: string[][][] = Array.from({ length: count + 1 }, () => [])
  for (const record of text.split('\u001e')) {
    if (record === 'D\u001f') continue
    const [line = '', ...call] = record.split('\u001f')
    // A line that emptied its environment lost its number: such a call is kept for all lines together, at the end.
    if (call.length > 0) lines[/^\d+$/.test(line) ? Number(line) : count]?.push(call.slice(0, -1))
  }
  return lines
}
