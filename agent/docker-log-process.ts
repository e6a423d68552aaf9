/** The log of a docker container as a process that writes it. */
import type { IncomingMessage } from 'node:http'
import { type Readable, Writable } from 'node:stream'
import { abortReason, OpsError } from '../src/core/errors.js'
import type { ExitStatus, RemoteProcess } from '../src/core/types.js'
import { DockerDemux } from './demux.js'
import { RawOutput } from './raw-output.js'

/** Ends with 0 when the log ends; with `follow` that is when the container does. A slow reader holds the daemon. */
export class DockerLogProcess implements RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr?: Readable
  readonly exit: Promise<ExitStatus>
  readonly via = 'docker logs'
  readonly #answer: IncomingMessage

  /** @param tty the container has a terminal: its log is one stream without frames @param signal aborting ends it; `exit` rejects with the reason */
  constructor(answer: IncomingMessage, tty: boolean, signal: AbortSignal) {
    this.#answer = answer
    this.stdin = new Writable({ write: (_chunk, _encoding, done) => done() })
    const onAbort = () => answer.destroy()
    this.exit = new Promise((resolve, reject) => {
      answer.once('end', () => resolve({ kind: 'exited', code: 0 }))
      answer.once('close', () => {
        signal.removeEventListener('abort', onAbort)
        reject(signal.aborted ? abortReason(signal) : new OpsError('PROTOCOL_ERROR', 'The log of docker broke off'))
      })
    })
    this.exit.catch(() => {}) // whoever needs it awaits it
    if (tty) this.stdout = new RawOutput(answer).stdout
    else {
      const { stdout, stderr } = new DockerDemux(answer)
      this.stdout = stdout
      this.stderr = stderr
    }
    if (signal.aborted) answer.destroy()
    else signal.addEventListener('abort', onAbort, { once: true })
  }

  resize(): void {}
  kill(): void {}

  async close(): Promise<void> {
    this.#answer.destroy()
  }
}
