/** A target of two processes in memory: enough of a shell to answer marks, and to break where a test wants it. */
import { PassThrough } from 'node:stream'
import type { ExecRequest, ExitStatus, RemoteProcess } from '../../../src/core/types.js'

export class FakeProcess implements RemoteProcess {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly exit: Promise<ExitStatus>
  readonly via = 'memory'
  closed = 0
  #end: { resolve: (status: ExitStatus) => void; reject: (error: unknown) => void } = { resolve: () => {}, reject: () => {} }

  constructor(readonly request: ExecRequest) {
    this.exit = new Promise((resolve, reject) => {
      this.#end = { resolve, reject }
    })
    this.exit.catch(() => {})
  }

  resize(): void {}
  kill(): void {}
  ends(status: ExitStatus): void {
    this.#end.resolve(status)
    this.stdout.end()
  }
  breaks(error: unknown): void {
    this.#end.reject(error)
    this.stdout.destroy()
  }
  async close(): Promise<void> {
    this.closed += 1
    this.ends({ kind: 'signaled', signal: 'KILL', coreDumped: false })
    this.stdin.destroy()
  }
}

/** Answers every line that asks for marks, unless `holds` is set; a line with `eval` prints only its begin until `finish`. */
export class FakeTarget {
  terminal: FakeProcess | undefined
  pipe: FakeProcess | undefined
  readonly lines: string[] = []
  readonly typed: Buffer[] = []
  /** Lines end as soon as they have begun. */
  instant = false
  /** Lines get no answer at all. */
  mute = false
  #prompt = ''
  #unfinished: string | undefined

  readonly exec = async (request: ExecRequest): Promise<RemoteProcess> => {
    const process = new FakeProcess(request)
    if (request.argv.join(' ').includes('rm -rf "/dev')) process.ends({ kind: 'exited', code: 0 })
    else if (request.pty) {
      this.terminal = process
      process.stdin.on('data', (chunk: Buffer) => this.typed.push(chunk))
    } else {
      this.pipe = process
      process.stdin.on('data', (chunk: Buffer) => this.#take(chunk.toString()))
    }
    return process
  }

  /** Ends the line that runs. */
  finish(status = 0): void {
    if (this.#unfinished !== undefined) this.#answer(this.#unfinished, status)
    this.#unfinished = undefined
  }

  prints(text: string): void {
    this.terminal?.stdout.write(text)
  }

  #take(text: string): void {
    for (const line of text.split('\n').slice(0, -1)) {
      this.lines.push(line)
      this.#prompt = /PS1='\x1b\]7777;(\d+)/.exec(line)?.[1] ?? this.#prompt
      if (this.mute) continue
      const begin = /^\\command printf '\\033\]7777;(\d+);;/.exec(line)?.[1]
      if (begin === undefined) this.#answer(line, 0)
      else {
        this.prints(`\x1b]7777;${begin};;${begin}\x07`)
        this.#unfinished = line
        if (this.instant) this.finish()
      }
    }
  }

  #answer(line: string, status: number): void {
    const [first, nonce] = [...line.matchAll(/\\033\]7777;(\d+);(?:%s;\d+\\007|aZ)/g)].map((match) => match[1])
    const drained = line.includes('drained') ? `;${nonce};0:;${nonce};7:drained` : ''
    const ready = line.includes('PS1=') ? `;${nonce};3:5.2` : ''
    this.prints(`\x1b]7777;${first};${status};${first}\x07`)
    this.prints(`\x1b]7777;${nonce};aZ\t${ready}${drained};${nonce};4:/srv;${nonce}\x07\x1b]7777;${this.#prompt}\x07`)
  }
}
