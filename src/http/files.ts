/** /api/v1/files: look at, list, get and put files of a container. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { PassThrough } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { OpsError } from '../core/errors.js'
import { type FileAccess, type FileAttributes, FileError, type OpenMode } from '../core/files.js'
import { type FileFactsItem, filePutSchema, fileQuerySchema } from '../wire/api/files.js'
import { addressWith, type ExecDoorParts, errorBody } from './exec-parts.js'
import { fileSession } from './files-session.js'
import { parsed } from './parsed.js'

/** One list answers so many entries at most. */
const MAX_ENTRIES = 10_000
const READ_BYTES = 256 * 1024
/** How long the rest of a refused upload may flow before the connection is cut. */
const LET_GO_MS = 10_000
const READ: OpenMode = { read: true, write: false, append: false, create: false, truncate: false, exclusive: false }

type Query = z.output<typeof fileQuerySchema>

export function fileRoutes(parts: ExecDoorParts): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/api/v1/files/stat', (request, reply) =>
      answered(parts, fileQuerySchema, request, reply, async (files, { path }) => {
        return facts(path, await files.stat(Buffer.from(path)))
      }),
    )
    app.get('/api/v1/files/list', (request, reply) =>
      answered(parts, fileQuerySchema, request, reply, async (files, { path }) => {
        const items: FileFactsItem[] = []
        for await (const entries of files.list(Buffer.from(path))) {
          for (const { name, attributes } of entries) items.push(facts(name.toString(), attributes))
          if (items.length > MAX_ENTRIES) break
        }
        return { items: items.slice(0, MAX_ENTRIES), truncated: items.length > MAX_ENTRIES }
      }),
    )
    app.get('/api/v1/files', (request, reply) => download(parts, request, reply))
    // an upload's body is whatever it is: nothing parses it
    void app.register(async (raw) => {
      raw.removeAllContentTypeParsers()
      raw.addContentTypeParser('*', (_request, _payload, done) => done(null))
      raw.put('/api/v1/files', { config: { body: 'upload' } }, (request, reply) => upload(parts, request, reply))
    })
  }
}

async function answered<T extends Query>(
  parts: ExecDoorParts,
  schema: z.ZodType<T>,
  request: FastifyRequest,
  reply: FastifyReply,
  work: (files: FileAccess, query: T) => Promise<object>,
): Promise<object> {
  const identity = await parts.identify(request.raw)
  const query = parsed(schema, request.query, 'files')
  const release = parts.slots.take(identity.user)
  const running = fileSession(parts, { identity, ...placeOf(query) }, (files) => work(files, query))
  reply.raw.once('close', running.leave)
  try {
    return (await running.done).value
  } finally {
    reply.raw.off('close', running.leave)
    release()
  }
}

/** The status line waits for the first look at the file; what fails later cuts the answer, which has named its length. */
async function download(parts: ExecDoorParts, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const identity = await parts.identify(request.raw)
  const query = parsed(fileQuerySchema, request.query, 'files')
  const release = parts.slots.take(identity.user)
  const { raw } = reply
  let isOpen = false
  const running = fileSession(
    parts,
    {
      identity,
      ...placeOf(query),
      take: async (_stream, chunk) => {
        if (raw.destroyed || raw.write(chunk)) return
        const waited = new AbortController()
        await Promise.race(['drain', 'close'].map((event) => once(raw, event, { signal: waited.signal }))).catch(() => undefined)
        waited.abort()
      },
    },
    async (files, { output }) => {
      const handle = await files.open(Buffer.from(query.path), READ)
      // one that is broken off is left open, as with an upload
      const { size, mtime } = await handle.stat()
      const { start, end, isPart } = rangeOf(request.headers, size, tagOf(size, mtime))
      isOpen = true
      reply.hijack()
      raw.writeHead(isPart ? 206 : 200, {
        'content-type': 'application/octet-stream',
        // files of /proc say 0 and have content
        ...(size > 0 && { 'content-length': end - start, 'accept-ranges': 'bytes', etag: tagOf(size, mtime) }),
        ...(isPart && { 'content-range': `bytes ${start}-${end - 1}/${size}` }),
        'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(query.path.replace(/.*\//, '') || 'file')}`,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      })
      let at = start
      while (size === 0 || at < end) {
        const chunk = await handle.read(at, size === 0 ? READ_BYTES : Math.min(READ_BYTES, end - at))
        if (chunk.length === 0) break
        at += chunk.length
        if (!output.write(chunk)) await Promise.race([once(output, 'drain'), once(output, 'close')])
      }
      if (at < end) throw new FileError('FAILURE', 'the file became shorter while it was read')
      await handle.close()
    },
  )
  raw.once('close', running.leave)
  try {
    await running.done
    raw.end()
  } catch (error) {
    if (!isOpen) throw error
    parts.log.info({ error }, 'files.download.cut')
    raw.destroy()
  } finally {
    release()
  }
  return reply
}

async function upload(parts: ExecDoorParts, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const identity = await parts.identify(request.raw)
  const query = parsed(filePutSchema, request.query, 'files')
  const release = parts.slots.take(identity.user)
  const overwrite = query.overwrite === 'true'
  const mode: OpenMode = { read: false, write: true, append: false, create: true, truncate: overwrite, exclusive: !overwrite }
  const change = query.mode === undefined ? undefined : { mode: Number.parseInt(query.mode, 8) }
  const body = bodyOf(request.raw)
  const running = fileSession(parts, { identity, ...placeOf(query), input: body }, async (files, { input }) => {
    const handle = await files.open(Buffer.from(query.path), mode, change)
    let bytes = 0
    // one that fails is left open: whoever closes the files then cuts it, and the audit says that it is a part
    for await (const chunk of input as AsyncIterable<Buffer>) {
      await handle.write(bytes, chunk)
      bytes += chunk.length
    }
    await handle.close()
    return bytes
  })
  reply.raw.once('close', running.leave)
  try {
    const { value: bytes, session } = await running.done
    reply.code(201)
    return { path: query.path, bytes, session }
  } catch (error) {
    letGo(request.raw, body)
    if (!request.raw.readableEnded) reply.header('connection', 'close')
    if (!(error instanceof OpsError)) throw error
    reply.code(error.httpStatus)
    return { ...errorBody(error), trace: request.id }
  } finally {
    reply.raw.off('close', running.leave)
    release()
  }
}

/** The body as a stream of its own: a session that ends early destroys its input, and the answer must still go out. */
function bodyOf(request: IncomingMessage): PassThrough {
  const body = new PassThrough({ highWaterMark: READ_BYTES })
  request.on('error', (error) => body.destroy(error))
  request.on('aborted', () => body.destroy(new OpsError('CLIENT_GONE', 'the upload was broken off')))
  return request.pipe(body)
}

/** A client reads no answer before it has sent everything: what is left of it flows away, for a while. */
function letGo(request: IncomingMessage, body: PassThrough): void {
  request.unpipe(body)
  request.resume()
  const cut = setTimeout(() => request.destroy(), LET_GO_MS).unref()
  request.once('close', () => clearTimeout(cut))
}

function placeOf({ target, container, batch }: Query): { readonly address: string; readonly batch: string | undefined } {
  return { address: addressWith(target, container), batch }
}

/** Changes with what can be seen from outside of a file: its size and when it was written. */
function tagOf(size: number, mtime: number): string {
  return `"${size.toString(16)}-${Math.round(mtime * 1000).toString(16)}"`
}

/**
 * One range (RFC 9110 s14.2): `bytes=FROM-` and `bytes=FROM-TO`; every other form, and a range of another state of the file (If-Range),
 * is answered with the whole. @throws OpsError BAD_REQUEST for one that begins behind the end
 */
function rangeOf(headers: IncomingMessage['headers'], size: number, tag: string): { readonly start: number; readonly end: number; readonly isPart: boolean } {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(headers.range ?? '')
  const ifRange = headers['if-range']
  if (!match || size === 0 || (ifRange !== undefined && ifRange !== tag)) return { start: 0, end: size, isPart: false }
  const start = Number(match[1])
  const end = match[2] === '' ? size : Math.min(Number(match[2]) + 1, size)
  if (start >= size || end <= start)
    throw new OpsError('BAD_REQUEST', 'a range behind the end', { detail: `the file holds ${size} bytes: nothing is at ${start}` })
  return { start, end, isPart: true }
}

function facts(name: string, { kind, mode, uid, gid, size, mtime }: FileAttributes): FileFactsItem {
  return { name, kind, mode: (mode & 0o7777).toString(8).padStart(4, '0'), uid, gid, size, mtime: new Date(mtime * 1000).toISOString() }
}
