/** `fetch` for the typed client, over a Connection: its CA, its login, its refresh. */
import { Readable } from 'node:stream'
import type { Connection } from './connection.js'
import type { Ask } from './request.js'

/** Takes what createApiClient gives: a URL, a method, headers, a body of text. Rejects with GatewayError when there is no success. */
export function fetchThrough(connection: Connection): typeof globalThis.fetch {
  return async (input, init = {}) => {
    const url = new URL(String(input))
    const answer = await connection.send({
      method: (init.method ?? 'GET') as Ask['method'],
      path: url.pathname + url.search,
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(typeof init.body === 'string' && { body: init.body }),
      signal: init.signal ?? undefined,
    })
    const headers = new Headers()
    for (const [name, value] of Object.entries(answer.headers)) if (typeof value === 'string') headers.set(name, value)
    const status = answer.statusCode ?? 200
    return new Response(status === 204 ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), { status, headers })
  }
}
