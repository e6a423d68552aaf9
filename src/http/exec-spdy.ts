/** The same execs over SPDY/3.1, for kubectl before 1.31 and for clients whose WebSocket a proxy cut off. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { finished, PassThrough, Writable } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { ClientEnd, ClientListener, ExitStatus, WindowSize } from '../core/types.js'
import { acceptExec, type ExecLanes } from '../wire/exec-lanes-server.js'
import { upgradeServer } from '../wire/spdy/upgrade-server.js'
import { type ExecDoorParts, FIRST_SIZE_MS } from './exec-parts.js'
import { isExecUrl, parseExecUrl } from './exec-query.js'
import type { UpgradeEntry } from './ws-upgrades.js'

/** Serves `POST` with `Upgrade: SPDY/3.1` at the exec paths; the door is `ws` as well: it is the same protocol one layer up. */
export function spdyExec(parts: ExecDoorParts): UpgradeEntry {
  return {
    wants: ({ method, headers, url }) => method === 'POST' && /^spdy\/3\.1$/i.test(headers.upgrade ?? '') && isExecUrl(url ?? ''),
    serve: async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const identity = await parts.identify(request)
      const asked = parseExecUrl(request.url ?? '')
      const release = parts.slots.take(identity.user)
      try {
        const { connection } = upgradeServer(request, socket, head)
        const { stdin, stdout, stderr, pty } = asked
        const lanes = await acceptExec(connection, { stdin, stdout, stderr, tty: pty !== undefined }, new AbortController().signal).catch(() => undefined)
        // the connection has been cut with the reason; nothing can be answered once it was upgraded
        if (!lanes) return
        const client = new SpdyClientEnd(lanes, pty !== undefined)
        const size = pty && !asked.isSized ? await client.firstSize(FIRST_SIZE_MS) : undefined
        await parts.open(
          {
            door: 'ws',
            identity,
            address: asked.address,
            env: {},
            ...(asked.command !== undefined && { command: asked.command }),
            ...(pty && { pty: size ? { ...pty, size } : pty }),
          },
          client,
        )
        await client.closed
      } finally {
        release()
      }
    },
  }
}

class SpdyClientEnd implements ClientEnd {
  readonly stdin: PassThrough
  readonly stdout: Writable
  readonly stderr: Writable
  readonly gone: AbortSignal
  readonly closed: Promise<void>
  readonly #lanes: ExecLanes
  readonly #listeners = new Set<ClientListener>()
  #size: WindowSize | undefined
  #firstSize: (() => void) | undefined
  #close: () => void = () => {}
  #isFinishing = false

  constructor(lanes: ExecLanes, tty: boolean) {
    this.#lanes = lanes
    this.gone = lanes.gone
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
    this.stdin = new PassThrough()
    if (lanes.stdin) lanes.stdin.on('error', (error) => this.stdin.destroy(error)).pipe(this.stdin)
    else this.stdin.end()
    this.stdout = through(lanes.stdout)
    this.stderr = through(tty ? lanes.stdout : lanes.stderr)
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.on('error', () => undefined)
    // the lanes know one listener; a session has several
    lanes.onResize((size) => {
      this.#size = size
      this.#firstSize?.()
      for (const listener of this.#listeners) listener.resize?.(size)
    })
    lanes.onSignal((name) => {
      for (const listener of this.#listeners) listener.signal?.(name)
    })
    this.gone.addEventListener('abort', () => {
      for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy(new OpsError('CLIENT_GONE', 'the connection is over'))
      this.#firstSize?.()
      this.#close()
    })
  }

  /** The size that the client sends first, for at most `limitMs`. */
  async firstSize(limitMs: number): Promise<WindowSize | undefined> {
    if (!this.#size && !this.gone.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limitMs)
        this.#firstSize = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return this.#size
  }

  subscribe(listener: ClientListener): () => void {
    this.#listeners.add(listener)
    if (this.#size) listener.resize?.(this.#size)
    return () => this.#listeners.delete(listener)
  }

  finish(status: ExitStatus): void {
    if (this.#isFinishing) return
    this.#isFinishing = true
    let open = 2
    for (const stream of [this.stdout, this.stderr]) {
      finished(stream, () => {
        open -= 1
        if (open === 0) void this.#lanes.finish(status).then(this.#close)
      })
      stream.end()
    }
  }
}

/** A lane that stays open when its writer has ended: the lanes' own `finish` ends both. */
function through(lane: Writable | undefined): Writable {
  return new Writable({
    highWaterMark: 64 * 1024,
    write: (chunk: Buffer, _encoding, done) => {
      if (!lane || lane.destroyed) done()
      else lane.write(chunk, (error) => done(error))
    },
  })
}
