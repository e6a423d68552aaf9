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
import { upgradeClient } from '../../../src/wire/spdy/upgrade-client.js'
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

export async function lanePair(
  t: TestContext,
  wanted: Partial<AnnouncedLanes & ExecLanesRequest> = {},
  wantsWindows = true,
  signal = new AbortController().signal,
): Promise<LanePair> {
  const announced = { stdin: true, stdout: true, stderr: !wanted.tty, tty: false, ...wanted }
  const http = createServer()
  const accepted = new Promise<{ lanes: ExecLanes; server: SpdyConnection }>((resolve) => {
    http.on('upgrade', (request, socket, head) => {
      try {
        const { connection } = upgradeServer(request, socket, head)
        void acceptExec(connection, announced, new AbortController().signal).then((lanes) => resolve({ lanes, server: connection }))
      } catch (error) {
        refuseUpgrade(socket, toOpsError(error))
      }
    })
  })
  const port = await listening(t, http)
  const upgraded = await upgradeClient({
    subject: 'test',
    secure: false,
    connection: { host: '127.0.0.1', port },
    path: '/',
    protocols: [KUBE_V4],
    wantsWindows,
  })
  t.after(() => upgraded.connection.destroy())
  const process = await openExecLanes(upgraded.connection, { ...announced, signals: upgraded.isAgent, via: 'test', ...wanted }, signal)
  return { process, client: upgraded.connection, ...(await accepted) }
}
