/** The console: files that a build made, and its first page for every address that is a view of it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Names that carry a hash of their content (Vite) never change. */
const HASHED = /\/assets\/[^/]+-[\w-]{8}\.\w+$/
const NO_CONSOLE = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Dockin Ops</title>
<h1>Dockin Ops</h1><p>The gateway runs. Its console has not been built: run <code>npm run build</code>.</p>
<p>The API is described at <a href="/openapi.json">/openapi.json</a>.</p></html>
`
/** Never a view: who asks for these wants an answer of a program. */
const NO_VIEW = /^\/(api|apis|k8s|assets|rmController|healthz|readyz|metrics|openapi\.json|version)(\/|$|\?)/

/** Register last: what nobody else answers and a browser asks for is the console's. @param folder dist/console; may be absent */
export function consoleRoutes(folder: string): (app: FastifyInstance) => void {
  const isBuilt = existsSync(join(folder, 'index.html'))
  return (app) => {
    if (isBuilt) {
      void app.register(fastifyStatic, {
        root: folder,
        wildcard: false,
        index: ['index.html'],
        cacheControl: false,
        setHeaders: (reply, path) => {
          reply.setHeader('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache')
        },
      })
    } else {
      app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(NO_CONSOLE))
    }
    app.setNotFoundHandler((request: FastifyRequest, reply: FastifyReply) => {
      if (isBuilt && isView(request)) return reply.header('cache-control', 'no-cache').sendFile('index.html')
      return reply.code(404).send({ code: 'NOT_FOUND', message: 'not found', trace: request.id })
    })
  }
}

/** A page that a person opened: not a file, and not the API. */
function isView({ method, url, headers }: FastifyRequest): boolean {
  const path = url.split('?', 1)[0] ?? ''
  return (method === 'GET' || method === 'HEAD') && !NO_VIEW.test(url) && !/\.\w+$/.test(path) && (headers.accept ?? '').includes('text/html')
}
