/**
 * As much of an API server as `kubectl exec` asks for, with our SPDY server behind it: programs run on this machine, in
 * a pty of node-pty with `tty`. Whatever the pod's name, it exists.
 */
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { OpsError, toOpsError } from '../../../src/core/errors.js'
import { acceptExec } from '../../../src/wire/exec-lanes-server.js'
import { refuseUpgrade, upgradeServer } from '../../../src/wire/spdy/upgrade-server.js'
import { runProgram } from './programs.js'

export interface FakeApi {
  readonly url: string
  readonly port: number
  /** What the server's side of each exec saw: method and protocol, then how the program ended. */
  readonly log: string[]
  /** Resolves when the next program has ended and that is in the log. */
  nextEnd(): Promise<void>
  close(): Promise<void>
}

const POD = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'none' }] },
  status: { phase: 'Running' },
}

const DOCUMENTS: Readonly<Record<string, object>> = {
  '/version': { major: '1', minor: '32', gitVersion: 'v1.32.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get'] },
      { name: 'pods/exec', singularName: '', namespaced: true, kind: 'PodExecOptions', verbs: ['create', 'get'] },
    ],
  },
  '/api/v1/namespaces/default/pods/p': POD,
}

export async function startFakeApi(): Promise<FakeApi> {
  const log: string[] = []
  const ends = new EventEmitter()
  const sockets = new Set<Duplex>()
  const server = createServer((request, response) => {
    const document = DOCUMENTS[new URL(request.url ?? '', 'http://x').pathname]
    response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document ?? { kind: 'Status', status: 'Failure', code: 404 }))
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket, head) => {
    log.push(`${request.method} ${request.headers.upgrade}`)
    const onEnd = (end: string) => {
      log.push(end)
      ends.emit('end')
    }
    serveExec(request, socket, head, onEnd).catch((error) => refuseUpgrade(socket, toOpsError(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    log,
    nextEnd: async () => {
      await once(ends, 'end')
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

async function serveExec(request: IncomingMessage, socket: Duplex, head: Buffer, onEnd: (end: string) => void): Promise<void> {
  const query = new URL(request.url ?? '', 'http://x').searchParams
  const flag = (name: string) => query.get(name) === 'true' || query.get(name) === '1'
  const tty = flag('tty')
  const { connection } = upgradeServer(request, socket, head)
  const lanes = await acceptExec(connection, { stdin: flag('stdin'), stdout: flag('stdout'), stderr: flag('stderr'), tty }, new AbortController().signal)
  const argv = query.getAll('command')
  const status = await runProgram(argv, tty, lanes).catch((error: unknown) => toOpsError(error))
  onEnd(status instanceof OpsError ? status.code : JSON.stringify(status))
  await lanes.finish(status)
}
