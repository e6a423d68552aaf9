/** A node agent as the gateway sees it, whose containers are this machine. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { toOpsError } from '../../../src/core/errors.js'
import { acceptExec } from '../../../src/wire/exec-lanes-server.js'
import { refuseUpgrade, upgradeServer } from '../../../src/wire/spdy/upgrade-server.js'
import { runProgram } from '../../wire/support/programs.js'
import type { Certs } from './certs.js'

export interface FakeAgent {
  /** "127.0.0.1:PORT" or "unix:PATH". */
  readonly address: string
  readonly server: Server
  /** Path and query of each exec. */
  readonly execs: string[]
  /** Connections ever accepted. */
  connections(): number
  /** Stops listening and cuts every connection. */
  stop(): Promise<void>
}

export interface FakeAgentOptions {
  readonly certs?: Certs
  /** A path for a unix socket, or a port that was in use before; default any. */
  readonly listen?: string | number
  /** Sees each connection before HTTP does. */
  readonly onConnection?: (socket: Socket, count: number) => void
}

export async function startFakeAgent(t: TestContext, options: FakeAgentOptions = {}): Promise<FakeAgent> {
  const execs: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const answer: RequestListener = (request, response) => response.writeHead(request.url === '/healthz' ? 200 : 404).end('ok')
  const { certs } = options
  const server = certs
    ? createTlsServer({ ca: certs.ca, cert: certs.server.cert, key: certs.server.key, requestCert: true, rejectUnauthorized: true }, answer)
    : createServer(answer)
  server.on(certs ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    connections++
    options.onConnection?.(socket, connections)
  })
  server.on('upgrade', (request, socket, head) => {
    execs.push(request.url ?? '')
    const query = new URL(request.url ?? '', 'http://x').searchParams
    try {
      const tty = query.get('tty') === '1'
      const { connection } = upgradeServer(request, socket, head)
      const wanted = { stdin: query.get('input') === '1', stdout: query.get('output') === '1', stderr: query.get('error') === '1', tty }
      void acceptExec(connection, wanted, new AbortController().signal).then(async (lanes) => {
        const env = Object.fromEntries(query.getAll('env').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
        await lanes.finish(await runProgram(query.getAll('command'), tty, lanes, env).catch((error: unknown) => toOpsError(error)))
      })
    } catch (error) {
      refuseUpgrade(socket, toOpsError(error))
    }
  })
  const { listen = 0 } = options
  await new Promise<void>((resolve) => {
    if (typeof listen === 'string') server.listen(listen, resolve)
    else server.listen(listen, '127.0.0.1', resolve)
  })
  const stop = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => resolve())
    })
  t.after(stop)
  const address = typeof listen === 'string' ? `unix:${listen}` : `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { address, server, execs, connections: () => connections, stop }
}
