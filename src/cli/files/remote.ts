/** Files of one container over /api/v1/files. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { ExecApiRequest } from '../../wire/api/exec.js'
import { type FileFactsItem, fileFactsSchema, fileListSchema } from '../../wire/api/files.js'
import { type Connection, pathOf } from '../api/connection.js'
import { at, text } from '../api/rows.js'
import { GatewayError } from '../problem.js'

export interface RemoteFiles {
  readonly target: string
  /** Follows links. Undefined: there is no such file. @throws GatewayError */
  stat(path: string): Promise<FileFactsItem | undefined>
  /** Entries without "." and ".."; @throws GatewayError also when there are more than the gateway lists */
  list(path: string): Promise<readonly FileFactsItem[]>
  /** @param from first byte; the answer's status is 206 where it begins there, 200 where it is the whole */
  get(path: string, signal: AbortSignal, from?: number): Promise<IncomingMessage>
  put(path: string, content: Readable, facts: { readonly mode?: number; readonly bytes: number }, signal: AbortSignal): Promise<void>
  /** With its parents; the API has no such operation, so `mkdir -p` does it. */
  mkdir(path: string): Promise<void>
}

/** @param target contract.md, "Address" @param options.batch one id over what is done here and elsewhere */
export function remoteFiles(
  connection: Connection,
  target: string,
  { container, batch }: { readonly container?: string | undefined; readonly batch?: string } = {},
): RemoteFiles {
  const url = (path: string, operation = '', more: Readonly<Record<string, string>> = {}) =>
    pathOf(`/api/v1/files${operation}`, { target, container, batch, path, ...more })
  return {
    target,
    stat: (path) => stat(connection, url(path, '/stat')),
    list: async (path) => {
      const list = fileListSchema.safeParse(await connection.json('GET', url(path, '/list')))
      if (!list.success) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered with something that is no list of files')
      if (list.data.truncated)
        throw new GatewayError('LIMIT_EXCEEDED', `${target}:${path} holds more entries than the gateway lists at once: copy a tar of it instead`)
      return list.data.items
    },
    // a large file's first byte may wait for its look-up and its hash
    get: (path, signal, from = 0) =>
      connection.send({ method: 'GET', path: url(path), headers: { accept: '*/*', ...(from > 0 && { range: `bytes=${from}-` }) }, signal, timeoutMs: 0 }),
    put: async (path, content, { mode, bytes }, signal) => {
      const query = mode === undefined ? {} : { mode: (mode & 0o777).toString(8).padStart(4, '0') }
      const headers = { 'content-type': 'application/octet-stream', 'content-length': String(bytes) }
      const answer = await connection.sendJson({ method: 'PUT', path: url(path, '', query), headers, body: content, signal, timeoutMs: 0 })
      const written = at(answer, 'bytes')
      if (written !== bytes)
        throw new GatewayError('PROTOCOL_ERROR', `${target}:${path}: ${String(written)} of ${bytes} bytes were written; the file changed meanwhile?`)
    },
    mkdir: (path) =>
      mkdir(connection, { target, ...(container !== undefined && { container }), ...(batch !== undefined && { batch }), argv: ['mkdir', '-p', '--', path] }),
  }
}

async function stat(connection: Connection, url: string): Promise<FileFactsItem | undefined> {
  try {
    const facts = fileFactsSchema.safeParse(await connection.json('GET', url))
    if (!facts.success) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered with something that is no file')
    return facts.data
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

async function mkdir(connection: Connection, body: ExecApiRequest): Promise<void> {
  const answer = await connection.json('POST', '/api/v1/exec', body)
  const exit = text(answer, 'exit')
  if (exit !== '0')
    throw new GatewayError('PROTOCOL_ERROR', `cannot make the directory ${body.argv?.at(-1)}: ${text(answer, 'stderr').trim() || `exit ${exit}`}`)
}
