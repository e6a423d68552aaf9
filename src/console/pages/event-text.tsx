/** An event in a few words; the whole of it opens below. */
import type { StoredEvent } from '../../core/types.js'
import { bytesText, durationText } from '../parts/text.js'
import { Line, Peer } from '../parts/values.js'

const NAMES: Readonly<Record<string, string>> = {
  command: 'command',
  'command.exit': 'exit',
  file: 'file',
  login: 'login',
  'login.refused': 'login refused',
  'session.open': 'session opened',
  'session.start': 'session started',
  'session.resize': 'resized',
  'session.close': 'session closed',
  'session.refused': 'session refused',
  admin: 'act',
  checkpoint: 'checkpoint',
}
export function eventName(type: string): string {
  return NAMES[type] ?? type
}

export function EventText({ event }: { readonly event: StoredEvent }) {
  switch (event.type) {
    case 'command':
      return <Line line={event.line} lineBase64={event.lineBase64} />
    case 'command.exit':
      return (
        <>
          status {event.status} after {durationText(event.ms)}
        </>
      )
    case 'file':
      return (
        <>
          {event.op}{' '}
          <code>
            <Peer text={event.path} />
          </code>
          {event.bytes !== undefined && ` ${bytesText(event.bytes)}`}
        </>
      )
    case 'login':
      return <>by {event.method}</>
    case 'login.refused':
      return (
        <>
          by {event.method}: <Peer text={event.reason} />
        </>
      )
    case 'session.open':
      return (
        <>
          {event.door}, rule <Peer text={event.rule} />
        </>
      )
    case 'session.start':
      return <Peer text={event.via} />
    case 'session.resize':
      return (
        <>
          {event.columns} × {event.rows}
        </>
      )
    case 'session.close':
      return (
        <>
          exit {event.exit}, <Peer text={event.reason} />, {durationText(event.ms)}
        </>
      )
    case 'session.refused':
      return <Peer text={`${event.address ?? ''} ${event.reason}`.trim()} />
    case 'admin':
      return <Peer text={`${event.action} ${event.object}`} />
    case 'checkpoint':
      return <>{event.count} events signed</>
    default:
      return null
  }
}
