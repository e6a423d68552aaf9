/** A recording with its controls. */
import { effect } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { CommandItem } from '../../wire/api/sessions.js'
import { Icon } from '../parts/icon.js'
import { problemText } from '../parts/messages.js'
import { clockText } from '../parts/text.js'
import { useKeys } from '../state/keys.js'
import type { CastPart } from './cast.js'
import { Playback, SPEEDS } from './playback.js'
import type { FetchPart } from './reel.js'
import { TimeBar } from './time-bar.js'

export interface ReplayProps {
  /** Where it begins. */
  readonly first: CastPart
  readonly fetch: FetchPart
  readonly commands: readonly CommandItem[]
  /** Hands the player over, and takes it back with undefined. */
  readonly onPlayer: (playback: Playback | undefined) => void
}

export function Replay({ first, fetch, commands, onPlayer }: ReplayProps) {
  const stage = useRef<HTMLDivElement>(null)
  const whole = useRef<HTMLDivElement>(null)
  const [playback, setPlayback] = useState<Playback>()
  useEffect(() => {
    if (!stage.current) return
    const made = new Playback(first, fetch, stage.current)
    setPlayback(made)
    onPlayer(made)
    return () => {
      onPlayer(undefined)
      made.close()
    }
  }, [first])
  return (
    <div class="player" ref={whole}>
      <div class="stage" ref={stage} />
      {playback && <News playback={playback} />}
      {playback && <Controls playback={playback} commands={commands} onFull={() => void toggleFull(whole.current)} />}
    </div>
  )
}

/** That the picture waits, or why it does not go on. What is there at once is not said. */
function News({ playback }: { readonly playback: Playback }) {
  const { problem, isWaiting, time } = playback
  if (problem.value !== undefined) {
    return (
      <p class="note warn" role="alert">
        <Icon name="warn" /> {problemText(problem.value)}
        <button type="button" class="button plain" onClick={() => void playback.seek(time.peek())}>
          Try again
        </button>
      </p>
    )
  }
  return <div class={isWaiting.value ? 'waiting on' : 'waiting'} role="status" aria-label={isWaiting.value ? 'Loading' : ''} />
}

interface ControlsProps {
  readonly playback: Playback
  readonly commands: readonly CommandItem[]
  readonly onFull: () => void
}
function Controls({ playback, commands, onFull }: ControlsProps) {
  const { time, isPlaying, speed, skipsIdle } = playback
  const seconds = playback.seconds.value
  const toCommand = (step: 1 | -1): void => {
    const at = time.value
    const found = step > 0 ? commands.find(({ offset }) => offset > at + 0.05) : commands.findLast(({ offset }) => offset < at - 0.5)
    if (found) void playback.seek(found.offset)
    else if (step < 0) void playback.seek(0)
  }
  const faster = (step: 1 | -1): void => {
    const next = SPEEDS[SPEEDS.indexOf(speed.value) + step]
    if (next !== undefined) playback.setSpeed(next)
  }
  useKeys({
    ' ': (event) => {
      // Enter is a command's own; Space plays, as everywhere, also after a click on one
      if (event.target instanceof HTMLButtonElement && !event.target.classList.contains('command')) event.target.click()
      else void playback.toggle()
    },
    ArrowLeft: () => void playback.seek(time.value - 5),
    ArrowRight: () => void playback.seek(time.value + 5),
    n: () => toCommand(1),
    p: () => toCommand(-1),
    '<': () => faster(-1),
    '>': () => faster(1),
    f: onFull,
  })
  return (
    <div class="controls">
      <TimeBar seconds={seconds} time={time.value} commands={commands} onSeek={(to) => void playback.seek(to)} />
      <div class="row">
        <Press label={isPlaying.value ? 'Pause' : 'Play'} onClick={() => void playback.toggle()}>
          <Icon name={isPlaying.value ? 'pause' : 'play'} />
        </Press>
        <Press label="Previous command" onClick={() => toCommand(-1)}>
          <Icon name="back" />
        </Press>
        <Press label="Next command" onClick={() => toCommand(1)}>
          <Icon name="forward" />
        </Press>
        <span class="clock mono" data-testid="clock">
          {clockText(time.value)} <span class="quiet">/ {clockText(seconds)}</span>
        </span>
        <span class="grow" />
        <label class="row small idle">
          <input type="checkbox" checked={skipsIdle.value} onChange={({ currentTarget }) => playback.setSkipsIdle(currentTarget.checked)} /> Skip silence
        </label>
        <select aria-label="Speed" value={String(speed.value)} onChange={({ currentTarget }) => playback.setSpeed(Number(currentTarget.value))}>
          {SPEEDS.map((each) => (
            <option key={each} value={String(each)}>
              {each}×
            </option>
          ))}
        </select>
        <Press label="Full screen" onClick={onFull}>
          <Icon name="full" />
        </Press>
      </div>
    </div>
  )
}

function Press({ label, onClick, children }: { readonly label: string; readonly onClick: () => void; readonly children: ComponentChildren }) {
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  )
}

/** Calls with the time whenever playing stops or jumps, for the address. */
export function useTimeToKeep(playback: Playback | undefined, keep: (seconds: number) => void): void {
  const latest = useRef(keep)
  latest.current = keep
  useEffect(() => {
    if (!playback) return
    let before = playback.time.peek()
    return effect(() => {
      if (playback.isPlaying.value) return
      const at = playback.time.value
      if (at !== before) latest.current(at)
      before = at
    })
  }, [playback])
}

async function toggleFull(element: HTMLElement | null): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen()
  else await element?.requestFullscreen()
}
