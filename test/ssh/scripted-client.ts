/** ssh2's own client, for what the usual programs cannot be made to do. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Client, ClientChannel, ConnectConfig } from 'ssh2'
import { type Gateway, library, PASSWORD } from './gateway.js'

/** What a hostile client needs beyond ssh2's calls. */
export interface RawProtocol {
  channelWindowAdjust(channel: number, bytes: number): void
  channelData(channel: number, data: Buffer): void
  channelClose(channel: number): void
  session(channel: number, window: number, maxPacket: number): void
  ping(): void
  readonly _kex: { readonly negotiated: { readonly kex: string; readonly serverHostKey: string; readonly sc: { readonly cipher: string } } }
}
export interface Scripted {
  readonly client: Client
  readonly protocol: RawProtocol
  readonly socket: Socket
}

export async function login(at: Pick<Gateway, 'port'>, config: ConnectConfig = {}): Promise<Scripted> {
  const socket = connect({ host: '127.0.0.1', port: at.port, noDelay: true })
  await once(socket, 'connect')
  const client = new library.Client()
  const ready = Promise.race([
    once(client, 'ready'),
    once(client, 'close').then(() => {
      throw new Error('the connection was closed before login')
    }),
  ])
  client.connect({ sock: socket, username: 'alice', password: PASSWORD, ...config })
  await ready
  client.on('error', () => undefined)
  const protocol = Object.entries(client).find(([name]) => name === '_protocol')?.[1] as RawProtocol
  return { client, protocol, socket }
}

export function exec(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel)))
  })
}

/** The channel's number on the gateway's side. */
export function remoteNumber(channel: ClientChannel): number {
  return (channel as ClientChannel & { readonly outgoing: { readonly id: number } }).outgoing.id
}

export async function signalled(at: Gateway, signals: readonly string[]): Promise<string> {
  const { client } = await login(at)
  const channel = await exec(client, 'watch')
  let text = ''
  channel.on('data', (chunk: Buffer) => {
    text += chunk
    if (text === 'watching\n') for (const signal of signals) channel.signal(signal)
  })
  await once(channel, 'close')
  client.end()
  return text
}
