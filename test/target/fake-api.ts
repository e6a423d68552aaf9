/** A Kubernetes API server that a test leads astray: it answers lists and watches of pods with what the test wrote down for it. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface Asked {
  readonly path: string
  readonly query: URLSearchParams
  readonly response: ServerResponse
  readonly request: IncomingMessage
}
export type Handler = (asked: Asked) => void

export class FakeApi {
  readonly kubeconfig: string
  readonly asked: Asked[] = []
  readonly #directory: string
  readonly #server = createServer((request, response) => this.#answer(request, response))
  readonly #sockets = new Set<Socket>()
  readonly #waiting: { readonly count: number; readonly done: () => void }[] = []
  onList: Handler = ({ response }) => list(response, [])
  onWatch: Handler = () => {}

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'fake-api-'))
    this.kubeconfig = join(this.#directory, 'kubeconfig')
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  async listen(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    const real = (this.#server.address() as AddressInfo).port
    writeFileSync(this.kubeconfig, kubeconfigText(real))
    return real
  }
  get lists(): readonly Asked[] {
    return this.asked.filter((one) => !one.query.has('watch'))
  }
  get watches(): readonly Asked[] {
    return this.asked.filter((one) => one.query.has('watch'))
  }
  get connections(): number {
    return this.#sockets.size
  }

  /** Resolves once `count` requests have come in all. */
  async requests(count: number): Promise<void> {
    if (this.asked.length >= count) return
    await new Promise<void>((done) => this.#waiting.push({ count, done }))
  }
  /** The network is gone: every connection is cut and none is accepted any more. */
  async vanish(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.resetAndDestroy()
    await closed
  }
  async close(): Promise<void> {
    if (this.#server.listening) await this.vanish()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://fake')
    const asked = { path: url.pathname, query: url.searchParams, response, request }
    this.asked.push(asked)
    if (asked.query.has('watch')) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.flushHeaders()
      this.onWatch(asked)
    } else this.onList(asked)
    for (const waiter of this.#waiting) if (this.asked.length >= waiter.count) waiter.done()
  }
}

export function apiPod(path: string, uid = `uid-${path}`, more: { readonly spec?: object; readonly status?: object; readonly metadata?: object } = {}): object {
  const [namespace, name] = path.split('/')
  return {
    metadata: { namespace, name, uid, resourceVersion: '1', ...more.metadata },
    spec: { nodeName: 'node-f', containers: [{ name: 'main' }], ...more.spec },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'main', containerID: `docker://${uid}`, ready: true, state: { running: {} } }],
      ...more.status,
    },
  }
}

/** Sends a PodList, as gzip. */
export function list(response: ServerResponse, items: readonly object[], metadata: object = { resourceVersion: '100' }): void {
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
  response.end(gzipSync(JSON.stringify({ kind: 'PodList', metadata, items })))
}
export function failure(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ kind: 'Status', code, message }))
}
/** Sends one watch event; `version` goes into the object. */
export function event(response: ServerResponse, type: string, pod: object, version: string): void {
  const object = structuredClone(pod) as { metadata?: object }
  response.write(`${JSON.stringify({ type, object: { ...object, metadata: { ...object.metadata, resourceVersion: version } } })}\n`)
}

function kubeconfigText(port: number): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'f', cluster: { server: `http://127.0.0.1:${port}/prefix`, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 'not-a-secret' } }],
    contexts: [{ name: 'f', context: { cluster: 'f', user: 'u' } }],
    'current-context': 'f',
  })
}
