/** Files that a session moved or touched. */
import { Icon } from '../parts/icon.js'
import { Answered, Empty } from '../parts/messages.js'
import { More } from '../parts/more.js'
import { bytesText } from '../parts/text.js'
import { Badge, Peer, Time, VerdictBadge } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { usePages } from '../state/load.js'

export interface SessionFilesProps {
  readonly session: { readonly id: string; readonly files: number }
}

export function SessionFiles({ session: { id, files } }: SessionFilesProps) {
  const { api } = useConsole()
  const pages = usePages(`${id} files ${files}`, (cursor, signal) =>
    api.listAudit({ query: { session: id, type: 'file', order: 'oldest', ...(cursor !== undefined && { cursor }) }, signal }),
  )
  return (
    <Answered answer={pages}>
      {(events) => {
        if (events.length === 0) return <Empty icon="file" title="No files" />
        return (
          <>
            <ul class="rows files">
              {events.map((event) => {
                if (event.type !== 'file') return null
                return (
                  <li key={event.seq} class="file">
                    <div class="row">
                      <Badge>{event.op}</Badge>
                      <VerdictBadge verdict={event.verdict} />
                      {event.partial && <Badge tone="warn">partial</Badge>}
                      {event.bytes !== undefined && <span class="quiet small">{bytesText(event.bytes)}</span>}
                      <span class="quiet small end grow">
                        <Time at={event.time} />
                      </span>
                    </div>
                    <code>
                      <Peer text={event.path} />
                      {event.to !== undefined && (
                        <>
                          {' → '}
                          <Peer text={event.to} />
                        </>
                      )}
                    </code>
                    {event.reason !== undefined && (
                      <span class="why">
                        <Peer text={event.reason} />
                      </span>
                    )}
                    {event.sha256 !== undefined && (
                      <span class="quiet small cut" title={event.sha256}>
                        <Icon name="check" /> sha256 {event.sha256}
                      </span>
                    )}
                  </li>
                )
              })}
            </ul>
            {pages.hasMore && <More pages={pages} />}
          </>
        )
      }}
    </Answered>
  )
}
