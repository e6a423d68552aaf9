/** Both sides of an exec on one loopback connection, upgraded over HTTP. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { toOpsError } from '../../../src/core/errors.js'
import type { RemoteProcess } from '../../../src/core/types.js'
import { type ExecLanesRequest, openExecLanes } from '../../../src/wire/exec-lanes-client.js'
import { type AnnouncedLanes, acceptExec, type ExecLanes } from '../../../src/wire/exec-lanes-server.js'
import { KUBE_V4 } from '../../../src/wire/kube-channel.js'
import type { SpdyConnection } from '../../../src/wire/spdy/connection.js'
import { type Upgraded, upgradeClient } from '../../../src/wire/spdy/upgrade-client.js'
import { refuseUpgrade, upgradeServer } from '../../../src/wire/spdy/upgrade-server.js'

/** An HTTP server on loopback that is gone, with its sockets, when the test is. */
export async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Duplex>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

export interface LanePair {
  readonly process: RemoteProcess
  readonly lanes: ExecLanes
  readonly client: SpdyConnection
  readonly server: SpdyConnection
}

const ALL: AnnouncedLanes = { stdin: true, stdout: true, stderr: true, tty: false }

/** A server of execs. @returns its port */
export function execServer(t: TestContext, onExec: (lanes: ExecLanes, connection: SpdyConnection) => void, announced: AnnouncedLanes = ALL): Promise<number> {
  const http = createServer()
  http.on('upgrade', (request, socket, head) => {
    try {
      const { connection } = upgradeServer(request, socket, head)
      acceptExec(connection, announced, new AbortController().signal).then(
        (lanes) => onExec(lanes, connection),
        () => {}, // the caller left, which the test sees at its end
      )
    } catch (error) {
      refuseUpgrade(socket, toOpsError(error))
    }
  })
  return listening(t, http)
}

async function connect(port: number, wantsWindows = true): Promise<Upgraded> {
  return upgradeClient({ subject: 'test', secure: false, connection: { host: '127.0.0.1', port }, path: '/', protocols: [KUBE_V4], wantsWindows })
}

/** An exec without a terminal on such a server. */
export async function openOn(port: number): Promise<RemoteProcess> {
  const { connection } = await connect(port)
  return openExecLanes(connection, { ...ALL, signals: true, via: 'test' }, new AbortController().signal)
}

export async function lanePair(
  t: TestContext,
  wanted: Partial<AnnouncedLanes & ExecLanesRequest> = {},
  wantsWindows = true,
  signal = new AbortController().signal,
): Promise<LanePair> {
  const announced = { ...ALL, stderr: !wanted.tty, ...wanted }
  let accept: (side: { lanes: ExecLanes; server: SpdyConnection }) => void = () => {}
  const accepted = new Promise<{ lanes: ExecLanes; server: SpdyConnection }>((resolve) => {
    accept = resolve
  })
  const port = await execServer(
    t,
    (lanes, server) => {
      lanes.started()
      accept({ lanes, server })
    },
    announced,
  )
  const upgraded = await connect(port, wantsWindows)
  t.after(() => upgraded.connection.destroy())
  const process = await openExecLanes(upgraded.connection, { ...announced, signals: upgraded.isAgent, via: 'test', ...wanted }, signal)
  return { process, client: upgraded.connection, ...(await accepted) }
}
