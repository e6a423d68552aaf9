/** GET /api/v1/sessions/{id}/kept/{number}: the copy of an upload that was kept for review. For auditors; each look is an event before its first byte. */
import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { OpsError } from '../core/errors.js'
import type { AuditSearch, AuditSink, StoredEvent } from '../core/types.js'
import { mayCall } from './api-parts.js'
import type { Identify } from './exec-parts.js'

export interface KeptRoutesParts {
  readonly identify: Identify
  readonly audit: Pick<AuditSink, 'write'>
  readonly search: Pick<AuditSearch, 'events'>
  /** @throws OpsError NOT_FOUND */
  readonly open: (path: string) => Promise<Readable>
}

const params = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/), number: z.string().regex(/^\d{1,9}$/) })
type FileEvent = StoredEvent & { readonly type: 'file' }
/** Events of a session that are looked through at once. */
const PART = 200

export function keptRoutes({ identify, audit, search, open }: KeptRoutesParts): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/api/v1/sessions/:id/kept/:number', async (request, reply) => {
      const identity = await identify(request.raw)
      if (!mayCall(identity, 'auditor')) throw new OpsError('POLICY_REFUSED', 'Only auditors read copies', { detail: 'your account lacks the role auditor' })
      const asked = params.safeParse(request.params)
      if (!asked.success) throw new OpsError('BAD_REQUEST', 'copy asked for: not a session and a number', { detail: 'name a session and a number' })
      const event = await eventOf(search, asked.data.id, asked.data.number)
      if (event?.kept === undefined) throw new OpsError('NOT_FOUND', `No copy ${asked.data.number} of session "${asked.data.id}"`)
      const { user, from } = identity
      const after = { event: event.seq, path: event.path, user: event.user }
      await audit.write({ type: 'admin', action: 'kept.read', object: event.kept, session: asked.data.id, user, from: `${from.host}:${from.port}`, after })
      const content = await open(event.kept)
      const name = event.path.replace(/.*\//s, '') || 'file'
      reply.header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(name)}`)
      // whatever was uploaded, no browser shall run it
      reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store')
      return reply.type('application/octet-stream').send(content)
    })
  }
}

async function eventOf(search: KeptRoutesParts['search'], session: string, number: string): Promise<FileEvent | undefined> {
  let cursor: string | undefined
  do {
    const page = await search.events({ session, type: 'file', order: 'oldest', limit: PART, ...(cursor !== undefined && { cursor }) })
    const found = page.items.find((event) => event.type === 'file' && event.kept?.includes(`/${session}-${number}.kept.`))
    if (found?.type === 'file') return found
    cursor = page.next
  } while (cursor !== undefined)
  return undefined
}
