/** What pods use. */
import { OpsError } from '../core/errors.js'
import type { ApiParts, Handlers } from './api-parts.js'

export function topHandlers({ usage }: Pick<ApiParts, 'usage'>): Required<Pick<Handlers, 'top'>> {
  return {
    top: ({ body, identity, reply }) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort(new OpsError('CLIENT_GONE', 'the caller of the API hung up')))
      return usage(identity, body.pods, gone.signal)
    },
  }
}
