/** The audit log: parts of it, or a line for each event as it comes to rest. */
import type { EventFilter } from '../core/types.js'
import type { ApiParts, Handlers } from './api-parts.js'
import { type Followers, openLines } from './line-stream.js'
import { given } from './pages.js'
import { ownOnly } from './session-routes.js'

/** @param followers filled here; whoever stops the server ends them */
export function auditHandlers(parts: ApiParts, followers: Followers): Required<Pick<Handlers, 'listAudit'>> {
  return {
    listAudit: async (call) => {
      const { query, identity, reply } = call
      const { follow, ...rest } = query
      const filter: EventFilter = { ...given(rest), ...ownOnly(identity, query.user) }
      if (follow === '1') {
        let stop = (): void => {}
        const lines = openLines(parts, call, followers, { closed: () => stop() })
        stop = parts.follow(filter, (event) => lines.send(event))
        return reply
      }
      const { items, next } = await parts.search.events(filter)
      return { items: [...items], ...(next !== undefined && { next }) }
    },
  }
}
