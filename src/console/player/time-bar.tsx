/** Where the recording is, with a mark for each command: short ones that ran, tall ones that were denied. */
import type { CommandItem } from '../../wire/api/sessions.js'
import { clockText } from '../parts/text.js'

export interface TimeBarProps {
  readonly seconds: number
  readonly time: number
  readonly commands: readonly CommandItem[]
  readonly onSeek: (seconds: number) => void
}
const STEP_SECONDS = 5

export function TimeBar({ seconds, time, commands, onSeek }: TimeBarProps) {
  const part = (at: number): string => `${seconds > 0 ? Math.min(100, (100 * at) / seconds) : 0}%`
  const seekAt = (event: PointerEvent): void => {
    const { left, width } = (event.currentTarget as HTMLElement).getBoundingClientRect()
    onSeek((seconds * Math.min(Math.max(event.clientX - left, 0), width)) / width)
  }
  const keys: Readonly<Record<string, number>> = { ArrowLeft: time - STEP_SECONDS, ArrowRight: time + STEP_SECONDS, Home: 0, End: seconds }
  return (
    <div
      class="time-bar"
      role="slider"
      tabIndex={0}
      aria-label="Time"
      aria-valuemin={0}
      aria-valuemax={Math.round(seconds)}
      aria-valuenow={Math.round(time)}
      aria-valuetext={`${clockText(time)} of ${clockText(seconds)}`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        seekAt(event)
      }}
      onPointerMove={(event) => event.buttons === 1 && seekAt(event)}
      onKeyDown={(event) => {
        const to = keys[event.key]
        if (to === undefined) return
        event.preventDefault()
        onSeek(to)
      }}
    >
      <div class="track">
        <div class="played" style={{ width: part(time) }} />
      </div>
      {commands.map(({ seq, offset, verdict, line }) => (
        <i key={seq} class={isDenied(verdict) ? 'mark denied' : 'mark'} style={{ left: part(offset) }} title={`${clockText(offset)} ${line ?? ''}`} />
      ))}
      <div class="knob" style={{ left: part(time) }} />
    </div>
  )
}

export function isDenied(verdict: string): boolean {
  return verdict === 'deny' || verdict === 'refused'
}
