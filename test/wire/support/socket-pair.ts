/** Two ends of a real TCP connection on loopback. */

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'

export async function socketPair(): Promise<{ client: Socket; server: Socket; close(): void }> {
  const listener = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve))
  const client = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const server = await accepted
  listener.close()
  return {
    client,
    server,
    close: () => {
      client.destroy()
      server.destroy()
    },
  }
}
