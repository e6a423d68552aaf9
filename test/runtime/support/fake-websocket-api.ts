/** An API server that speaks exec over WebSocket as 1.30 and later do (v5 and v4), with this machine as its only container. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import { KubeConfig } from '@kubernetes/client-node'
import { type WebSocket, WebSocketServer } from 'ws'
import { OpsError, toOpsError } from '../../../src/core/errors.js'
import type { ExitStatus, WindowSize } from '../../../src/core/types.js'
import { channelMessage, KUBE_CHANNEL, parseMessage, parseResize, printStatus } from '../../../src/wire/kube-channel.js'
import { WebSocketDuplex } from '../../../src/wire/ws-duplex.js'
import { runProgram } from '../../wire/support/programs.js'

export interface FakeWebSocketApi {
  readonly kubeconfig: KubeConfig
  readonly server: ReturnType<typeof createServer>
  close(): Promise<void>
}

/** @param speaks the protocols it knows, in its order of preference */
export async function startFakeWebSocketApi(speaks: readonly string[]): Promise<FakeWebSocketApi> {
  const server = createServer((request, response) => response.writeHead(request.url?.startsWith('/readyz') ? 200 : 400).end('ok'))
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => speaks.find((protocol) => offered.has(protocol)) ?? false })
  server.on('upgrade', (request, socket, head) => {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/,\s*/)
    // What 1.20 answers to v5.
    if (!speaks.some((protocol) => offered.includes(protocol))) socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    else sockets.handleUpgrade(request, socket, head, (webSocket) => void serve(webSocket, new URL(request.url ?? '', 'http://x').searchParams))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const kubeconfig = new KubeConfig()
  kubeconfig.loadFromClusterAndUser(
    { name: 'fake', server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    { name: 'test' },
  )
  const close = () =>
    new Promise<void>((resolve) => {
      for (const client of sockets.clients) client.terminate()
      server.close(() => resolve())
    })
  return { kubeconfig, server, close }
}

async function serve(webSocket: WebSocket, query: URLSearchParams): Promise<void> {
  const messages = new WebSocketDuplex(webSocket, { messages: true })
  const tty = query.get('tty') === 'true'
  const stdin = new PassThrough()
  let onResize: ((size: WindowSize) => void) | undefined
  let size: WindowSize | undefined
  const gone = new AbortController()
  messages.on('data', (message: Buffer) => {
    const { channel, payload } = parseMessage(message)
    if (channel === KUBE_CHANNEL.close && payload[0] === KUBE_CHANNEL.stdin) stdin.end()
    if (channel === KUBE_CHANNEL.stdin && !stdin.write(payload)) {
      messages.pause()
      stdin.once('drain', () => messages.resume())
    }
    if (channel === KUBE_CHANNEL.resize) {
      size = parseResize(payload.toString())
      if (size) onResize?.(size)
    }
  })
  messages.on('end', () => messages.end())
  messages.on('close', () => {
    stdin.destroy()
    if (tty) gone.abort() // as a pty hangs up; without one kubelet leaves the program alone
  })
  const lane = (channel: number) =>
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        if (!messages.writable) done(new OpsError('CLIENT_GONE', 'the WebSocket has ended'))
        else if (messages.write(channelMessage(channel, chunk))) done()
        else messages.once('drain', () => done())
      },
    })
  for (const channel of [KUBE_CHANNEL.stdout, KUBE_CHANNEL.stderr]) messages.write(channelMessage(channel, ''))
  const lanes = {
    stdin,
    stdout: lane(KUBE_CHANNEL.stdout),
    stderr: tty ? undefined : lane(KUBE_CHANNEL.stderr),
    gone: gone.signal,
    onResize: (listener: (size: WindowSize) => void) => {
      onResize = listener
      if (size) listener(size)
    },
  }
  const status: ExitStatus | OpsError = await runProgram(query.getAll('command'), tty, lanes).catch((error: unknown) => toOpsError(error))
  if (messages.writable) messages.end(channelMessage(KUBE_CHANNEL.error, printStatus(status)))
}
