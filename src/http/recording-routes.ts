/** Recordings and evidence packs: each look an event that rests before the first byte goes out. */
import { OpsError } from '../core/errors.js'
import type { CastPlace } from '../wire/tape-part.js'
import type { ApiParts, Call, Handlers } from './api-parts.js'
import { Looks } from './looks.js'
import { noteAct, seenSession } from './session-access.js'

type RecordingQuery = Parameters<NonNullable<Handlers['getRecording']>>[0]['query']

export function recordingHandlers(parts: ApiParts): Required<Pick<Handlers, 'getRecording' | 'getEvidence'>> {
  const looks = new Looks()
  const noteLook = (identity: Call['identity'], session: { readonly id: string; readonly user: string }) =>
    noteAct(parts, identity, 'recording.read', session.id, { user: session.user })
  return {
    getRecording: async ({ params, query, identity, bearer, request, reply }) => {
      const session = await seenSession(parts, identity, params.id, request.raw)
      const place = placeOf(query)
      if (query.limit !== undefined) {
        await looks.note(`${bearer.sid} ${params.id}`, () => noteLook(identity, session))
        const part = await parts.recordings.part(params.id, place, query.limit)
        return reply.type('application/x-asciicast').serializer(asIs).send(part)
      }
      // a recording that is sealed never changes, and its hash names it
      const tag = session.recordingSha256 === undefined ? undefined : `"${session.recordingSha256}"`
      if (tag !== undefined && query.from === undefined) reply.header('etag', tag).header('cache-control', 'private, no-cache')
      await noteLook(identity, session)
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

/** @throws OpsError BAD_REQUEST for two places, and for a place that only a part can begin at */
function placeOf({ from, seq, time, block, limit }: RecordingQuery): CastPlace {
  const given = [from, seq, time, block].filter((each) => each !== undefined).length
  if (given > 1) throw badPlace('name one of from, seq, time and block')
  if (limit === undefined && given === 1 && from === undefined) throw badPlace('seq, time and block need a limit')
  return {
    ...(from !== undefined && { seconds: from }),
    ...(seq !== undefined && { seq }),
    ...(time !== undefined && { time: new Date(time) }),
    ...(block !== undefined && { block }),
  }
}

function badPlace(detail: string): OpsError {
  return new OpsError('BAD_REQUEST', `recording asked for: ${detail}`, { detail })
}

function asIs(payload: unknown): string {
  return String(payload)
}
