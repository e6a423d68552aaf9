/** Connections to node agents: opened ahead of need, and not tried again at once where an agent did not answer. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { abortReason, OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'

/** Where the agent of a node listens. */
export interface AgentEndpoint {
  /** Name of the node; with TLS, the name its certificate must bear. */
  readonly node: string
  /** "10.0.0.5:8085", "[fd00::5]:8085", "node-a.internal:8085" or "unix:/run/opagent.sock". */
  readonly address: string
}

/** PEM files of mutual TLS. */
export interface AgentTls {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

export interface AgentPoolOptions {
  readonly tls?: AgentTls
  /** TCP and TLS together. */
  readonly connectTimeoutMs: number
  /** Connections kept open ahead of need for each node in use; default 2, 0 for none. */
  readonly spares?: number
  readonly log: Logger
}

/** An agent that answered so lately is not away: a flood of execs makes it slow. */
const BUSY_MS = 10_000

export interface AgentSocket {
  readonly socket: Socket
  /** Opened before it was asked for: the agent may have closed it just now, and a new one would do. */
  readonly isSpare: boolean
}

/** node's HTTP server closes a connection that asks nothing for 60 s; agents get a request well before. */
const SPARE_MS = 25_000
/** A node that was not used for so long keeps no spares. */
const RECENT_MS = 5 * 60_000
const BACKOFF_MS = { first: 500, most: 30_000 } as const
/** Nodes remembered; the one unused for longest is forgotten first. */
const NODES_MAX = 5000

/** Whatever a spare says, it is of no more use. */
const SPARE_EVENTS = ['data', 'end', 'error', 'close'] as const

interface NodeState {
  readonly endpoint: AgentEndpoint
  /** With what drops them. */
  readonly spares: Map<Socket, () => void>
  /** Connections on their way to being spares. */
  refilling: number
  usedAtMs: number
  failures: number
  /** No connection is tried before; performance.now(). */
  retryAtMs: number
  answeredAtMs: number
  lastError: OpsError | undefined
}

export class AgentPool {
  readonly #options: AgentPoolOptions
  readonly #spares: number
  readonly #nodes = new Map<string, NodeState>()
  #isClosed = false

  constructor(options: AgentPoolOptions) {
    this.#options = options
    this.#spares = options.spares ?? 2
  }

  /**
   * A connection with its TLS done: a spare when there is one.
   * @param isFresh a spare would not do
   * @throws OpsError TARGET_UNREACHABLE naming the node; at once while a failure is less than the back-off ago
   */
  async take(endpoint: AgentEndpoint, signal: AbortSignal, isFresh = false): Promise<AgentSocket> {
    if (signal.aborted) throw abortReason(signal)
    const state = this.#state(endpoint)
    state.usedAtMs = performance.now()
    const spare = isFresh ? undefined : this.#takeSpare(state)
    if (spare) {
      this.#refill(state)
      return { socket: spare, isSpare: true }
    }
    const waitMs = state.retryAtMs - performance.now()
    if (waitMs > 0) {
      const why = state.lastError?.message ?? 'it failed'
      throw new OpsError('TARGET_UNREACHABLE', `${why} (tried again in ${Math.ceil(waitMs / 1000)} s)`, {
        cause: state.lastError,
        detail: `node ${endpoint.node}`,
      })
    }
    const socket = await this.#connect(state, signal)
    this.#refill(state)
    return { socket, isSpare: false }
  }

  /** The agent answered, whatever it said: nothing is held against it. */
  succeeded(endpoint: AgentEndpoint): void {
    const state = this.#state(endpoint)
    state.answeredAtMs = performance.now()
    state.failures = 0
    state.retryAtMs = 0
    state.lastError = undefined
  }

  /**
   * The agent did not answer on a connection of ours: it is left alone for a time that doubles, give or take a half.
   * One that has just answered others is busy, not away, and a time-out is not held against it.
   */
  failed(endpoint: AgentEndpoint, error: OpsError): void {
    const state = this.#state(endpoint)
    const isTimeout = !(error.cause instanceof Error && 'code' in error.cause)
    if (isTimeout && performance.now() - state.answeredAtMs < BUSY_MS) {
      this.#options.log.warn({ node: endpoint.node, address: endpoint.address, reason: error.message }, 'agent.busy')
      return
    }
    const delayMs = Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** Math.min(state.failures, 10)) * (0.5 + Math.random())
    state.failures++
    state.retryAtMs = performance.now() + delayMs
    state.lastError = error
    for (const drop of state.spares.values()) drop()
    this.#options.log.warn({ node: endpoint.node, address: endpoint.address, failures: state.failures, reason: error.message }, 'agent.unreachable')
  }

  close(): void {
    this.#isClosed = true
    for (const { spares } of this.#nodes.values()) for (const drop of spares.values()) drop()
    this.#nodes.clear()
  }

  #state(endpoint: AgentEndpoint): NodeState {
    const key = `${endpoint.node} ${endpoint.address}`
    const known = this.#nodes.get(key)
    const state = known ?? {
      endpoint,
      spares: new Map(),
      refilling: 0,
      usedAtMs: 0,
      failures: 0,
      retryAtMs: 0,
      answeredAtMs: Number.NEGATIVE_INFINITY,
      lastError: undefined,
    }
    // Map order is order of use.
    this.#nodes.delete(key)
    this.#nodes.set(key, state)
    if (this.#nodes.size > NODES_MAX) this.#forgetOldest()
    return state
  }

  #forgetOldest(): void {
    const [oldest] = this.#nodes
    if (!oldest) return
    for (const drop of oldest[1].spares.values()) drop()
    this.#nodes.delete(oldest[0])
  }

  #takeSpare(state: NodeState): Socket | undefined {
    for (const [spare, drop] of state.spares) {
      state.spares.delete(spare)
      for (const event of SPARE_EVENTS) spare.off(event, drop)
      if (spare.destroyed || !spare.writable || !spare.readable) continue
      spare.setTimeout(0).ref()
      return spare
    }
    return undefined
  }

  /** A unix socket connects in no time, so it needs no spares. */
  #refill(state: NodeState): void {
    if (this.#isClosed || state.endpoint.address.startsWith('unix:') || performance.now() < state.retryAtMs) return
    if (state.spares.size + state.refilling >= this.#spares) return
    state.refilling++
    this.#connect(state, AbortSignal.timeout(this.#options.connectTimeoutMs))
      .then(
        (socket) => this.#keepSpare(state, socket),
        () => {}, // connect has noted it, and the next exec says so
      )
      .finally(() => {
        state.refilling--
        this.#refill(state)
      })
  }

  /** A spare is always read, so that the peer's end is seen when it comes; it says nothing before it is asked. */
  #keepSpare(state: NodeState, socket: Socket): void {
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    const drop = () => {
      state.spares.delete(socket)
      socket.destroy()
    }
    state.spares.set(socket, drop)
    for (const event of SPARE_EVENTS) socket.on(event, drop)
    socket.setTimeout(SPARE_MS, () => {
      if (!state.spares.has(socket)) return
      drop()
      if (performance.now() - state.usedAtMs < RECENT_MS) this.#refill(state)
    })
    socket.unref()
  }

  #connect(state: NodeState, signal: AbortSignal): Promise<Socket> {
    const { endpoint } = state
    return new Promise((resolve, reject) => {
      const socket = this.#open(endpoint)
      const settle = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
        socket.off('error', onError).off(ready, onReady)
        // Until its next owner listens.
        socket.on('error', () => {})
      }
      const fail = (reason: string, cause?: Error) => {
        settle()
        socket.destroy()
        const error = new OpsError('TARGET_UNREACHABLE', `Cannot reach agent on ${endpoint.node}: ${reason}`, { cause, detail: `node ${endpoint.node}` })
        this.failed(endpoint, error)
        reject(error)
      }
      const onError = (error: Error) => fail(error.message, error)
      const onAbort = () => {
        settle()
        socket.destroy()
        reject(abortReason(signal))
      }
      const onReady = () => {
        settle()
        socket.setNoDelay(true)
        resolve(socket)
      }
      const ready = this.#options.tls && !endpoint.address.startsWith('unix:') ? 'secureConnect' : 'connect'
      const timer = setTimeout(() => fail(`no connection in ${this.#options.connectTimeoutMs} ms`), this.#options.connectTimeoutMs)
      socket.once('error', onError).once(ready, onReady)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #open(endpoint: AgentEndpoint): Socket {
    const { address, node } = endpoint
    if (address.startsWith('unix:')) return connectTcp({ path: address.slice('unix:'.length) })
    const { host, port } = splitAddress(address)
    const { tls } = this.#options
    return tls ? connectTls({ host, port, servername: node, ca: tls.ca, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.3' }) : connectTcp({ host, port })
  }
}

/** @throws OpsError TARGET_UNREACHABLE for anything but HOST:PORT */
function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  if (!match) throw new OpsError('TARGET_UNREACHABLE', `"${address}" is no address of an agent: HOST:PORT or unix:PATH is needed`)
  return { host: match[1] ?? match[2] ?? '', port: Number(match[3]) }
}
