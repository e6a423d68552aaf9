/** The streaming answer of POST /api/v1/exec: one JSON object a line, as the program writes. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ExecApiLine } from '../wire/api/exec.js'
import type { OutputName } from './exec-client-end.js'
import { OutputPieces } from './exec-output.js'
import { type ExecDoorParts, errorBody, HEARTBEAT_MS } from './exec-parts.js'
import type { StartExec } from './exec-run.js'

/** The status line waits for the verdict: a refusal is an HTTP error, as without streaming. A caller that reads slowly holds the program. */
export async function answerNdjson(parts: Pick<ExecDoorParts, 'heartbeatMs'>, start: StartExec, reply: FastifyReply): Promise<unknown> {
  const lines = new Lines(reply.raw, parts.heartbeatMs ?? HEARTBEAT_MS)
  const pieces = { stdout: new OutputPieces(), stderr: new OutputPieces() }
  let isOpen = false
  const running = start(
    (stream, chunk) => {
      const piece = pieces[stream].next(chunk)
      return piece && lines.send({ stream, ...piece })
    },
    (facts) => {
      isOpen = true
      reply.hijack()
      lines.open(String(reply.request.id), facts)
    },
  )
  reply.raw.once('close', running.leave)
  const { exit, signal, ms, error, session } = await running.end
  if (error && !isOpen) {
    reply.raw.off('close', running.leave)
    reply.code(error.httpStatus)
    return { ...errorBody(error), exit, trace: reply.request.id, ...(session !== undefined && { session }) }
  }
  for (const stream of ['stdout', 'stderr'] satisfies OutputName[]) {
    const rest = pieces[stream].last()
    if (rest) await lines.send({ stream, ...rest })
  }
  await lines.end({ exit, ms, ...(signal !== undefined && { signal }), ...(error && { error: errorBody(error) }) })
  return reply
}

class Lines {
  readonly #raw: ServerResponse
  readonly #heartbeatMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(raw: ServerResponse, heartbeatMs: number) {
    this.#raw = raw
    this.#heartbeatMs = heartbeatMs
  }

  open(trace: string, first: ExecApiLine): void {
    // proxies that gather an answer would hold the output until the program has ended
    const headers = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'x-trace': trace }
    this.#raw.writeHead(200, headers)
    this.#raw.write(`${JSON.stringify(first)}\n`)
    this.#timer = setInterval(() => {
      if (!this.#raw.writableNeedDrain) this.#raw.write('{"heartbeat":true}\n')
    }, this.#heartbeatMs)
    this.#raw.once('close', () => clearInterval(this.#timer))
  }

  /** Resolves when there is room for more, or nobody to send to. */
  async send(line: ExecApiLine): Promise<void> {
    if (this.#raw.destroyed || this.#raw.write(`${JSON.stringify(line)}\n`)) return
    const waited = new AbortController()
    const { signal } = waited
    await Promise.race([once(this.#raw, 'drain', { signal }), once(this.#raw, 'close', { signal })]).catch(() => undefined)
    waited.abort()
  }

  async end(line: ExecApiLine): Promise<void> {
    clearInterval(this.#timer)
    if (this.#raw.destroyed) return
    const closed = once(this.#raw, 'close')
    this.#raw.end(`${JSON.stringify(line)}\n`)
    await closed
  }
}
