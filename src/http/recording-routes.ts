/** Recordings and evidence packs: streams, each look an event that rests before the first byte goes out. */
import type { ApiParts, Handlers } from './api-parts.js'
import { noteAct, seenSession } from './session-access.js'

export function recordingHandlers(parts: ApiParts): Required<Pick<Handlers, 'getRecording' | 'getEvidence'>> {
  return {
    getRecording: async ({ params, query, identity, request, reply }) => {
      const session = await seenSession(parts, identity, params.id, request.raw)
      // a recording that is sealed never changes, and its hash names it
      const tag = session.recordingSha256 === undefined ? undefined : `"${session.recordingSha256}"`
      if (tag !== undefined && query.from === undefined) reply.header('etag', tag).header('cache-control', 'private, no-cache')
      await noteAct(parts, identity, 'recording.read', params.id, { user: session.user })
      if (tag !== undefined && query.from === undefined && request.headers['if-none-match'] === tag) return reply.code(304).send()
      const recording = await (query.from === undefined ? parts.recordings.open(params.id) : parts.recordings.seek(params.id, query.from))
      return reply.type('application/x-asciicast').serializer(asIs).send(recording)
    },
    getEvidence: async ({ params, identity, request, reply }) => {
      const session = await seenSession(parts, identity, params.id, request.raw)
      await noteAct(parts, identity, 'evidence.read', params.id, { user: session.user })
      const pack = await parts.evidence(params.id)
      reply.header('content-disposition', `attachment; filename="evidence-${params.id}.tar"`)
      return reply.type('application/x-tar').serializer(asIs).send(pack)
    },
  }
}

function asIs(payload: unknown): string {
  return String(payload)
}
