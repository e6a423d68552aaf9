/** Small values, each shown the same way on every page. */
import type { ComponentChildren } from 'preact'
import { bytesLine, targetName, timeText, visiblePieces } from './text.js'

/** Text that a peer chose: never markup, and nothing in it is obeyed or hidden. */
export function Peer({ text }: { readonly text: string }) {
  const pieces = visiblePieces(text)
  if (pieces.every(({ isEscape }) => !isEscape)) return <bdi>{text}</bdi>
  return <bdi>{pieces.map(({ text: each, isEscape }) => (isEscape ? <span class="escaped">{each}</span> : each))}</bdi>
}

export function Line({ line, lineBase64 }: { readonly line?: string | undefined; readonly lineBase64?: string | undefined }) {
  return <code>{lineBase64 === undefined ? <Peer text={line ?? ''} /> : bytesLine(lineBase64)}</code>
}

export function Time({ at }: { readonly at: string }) {
  const date = new Date(at)
  return (
    <time dateTime={at} title={date.toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long' })} class="nowrap">
      {timeText(date, new Date())}
    </time>
  )
}

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'none'
export function Badge({ tone = 'none', live = false, children }: { readonly tone?: Tone; readonly live?: boolean; readonly children: ComponentChildren }) {
  return <span class={`badge ${tone === 'none' ? '' : tone} ${live ? 'live' : ''}`}>{children}</span>
}

/** The pod first: it is what one looks for. */
export function TargetText({ target }: { readonly target: Parameters<typeof targetName>[0] }) {
  return (
    <span class="cut" title={targetName(target)}>
      <Peer text={target.pod} />
      <span class="quiet small">
        {' '}
        {target.cluster}/{target.namespace} · {target.container}
      </span>
    </span>
  )
}

const STATES = {
  live: ['good', 'Live'],
  ended: ['none', 'Ended'],
  lost: ['warn', 'Lost'],
  refused: ['bad', 'Refused'],
} as const
/** Lost: its gateway was killed, and nobody saw how it ended. */
export function StateBadge({ state, reason }: { readonly state: SessionItemState; readonly reason?: string | undefined }) {
  const [tone, text] = STATES[state === 'ended' && reason?.startsWith('lost:') ? 'lost' : state]
  return (
    <Badge tone={tone} live={state === 'live'}>
      {text}
    </Badge>
  )
}

type SessionItemState = 'live' | 'ended' | 'refused'

const VERDICTS: Readonly<Record<string, readonly [Tone, string]>> = {
  deny: ['bad', 'denied'],
  refused: ['bad', 'refused'],
  approved: ['accent', 'approved'],
}
/** Says nothing for what was simply allowed. */
export function VerdictBadge({ verdict }: { readonly verdict?: string | undefined }) {
  const known = verdict === undefined ? undefined : VERDICTS[verdict]
  return known ? <Badge tone={known[0]}>{known[1]}</Badge> : null
}
