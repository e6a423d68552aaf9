/** Plays a recording of any length: what is near the second that is shown is here, the rest is asked for when it is needed. */
import { type Signal, signal } from '@preact/signals'
import { type CastPart, parseSize, shownText } from './cast.js'
import { type FetchPart, Reel } from './reel.js'
import { Screen } from './screen.js'
import { passed } from './time.js'

export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8]
/** What is to be here beyond what is shown: seconds of watching, and events. */
const AHEAD_SECONDS = 20
const AHEAD_EVENTS = 200
/** Longer between two frames: the page was not looked at, and nothing went on. */
const MAX_FRAME_SECONDS = 0.25
/** Recordings know milliseconds. */
const ROUNDING_SECONDS = 0.0005

export class Playback {
  /** Seconds of the recording. */
  readonly time: Signal<number>
  /** Of the whole recording; a running session's grows. */
  readonly seconds: Signal<number>
  readonly isPlaying = signal(false)
  /** What is to be shown is under way. */
  readonly isWaiting = signal(false)
  /** Why it does not go on. */
  readonly problem = signal<unknown>(undefined)
  readonly speed = signal<number>(1)
  readonly skipsIdle = signal(true)
  /** Resolves when the first frame stands. */
  readonly drawn: Promise<void>
  readonly #fetch: FetchPart
  readonly #screen: Screen
  readonly #closed = new AbortController()
  #reel: Reel
  /** Of the next event to be shown. */
  #next = 0
  /** Second up to which the screen shows all. */
  #shown: number
  #frame = 0
  #frameMs = 0
  #wanted: number | undefined
  #seeking: Promise<void> | undefined
  #growing: Promise<void> | undefined

  /** @param first where it begins */
  constructor(first: CastPart, fetch: FetchPart, place: HTMLElement) {
    this.#reel = new Reel(first)
    this.#fetch = fetch
    this.time = signal(first.seconds)
    this.seconds = signal(first.total)
    this.#shown = first.seconds
    let isDrawn = (): void => {}
    this.drawn = new Promise((resolve) => {
      isDrawn = resolve
    })
    this.#screen = new Screen(place, () => {
      this.#show(this.#wanted ?? this.time.peek(), true)
      // the terminal draws in the next frame; what comes after it may take the one behind
      requestAnimationFrame(() => setTimeout(isDrawn))
    })
  }

  async play(): Promise<void> {
    if (this.isPlaying.value) return
    if (this.time.value >= this.seconds.value - 0.01) await this.seek(0)
    if (this.#closed.signal.aborted) return
    this.isPlaying.value = true
    this.#frameMs = performance.now()
    this.#frame = requestAnimationFrame((nowMs) => this.#tick(nowMs))
  }

  async toggle(): Promise<void> {
    if (this.isPlaying.value) this.#pause()
    else await this.play()
  }

  /** Resolves when the frame stands. Of seconds that come faster than they can be shown, the last counts. */
  async seek(seconds: number): Promise<void> {
    const to = Math.min(this.seconds.value, Math.max(0, seconds))
    this.time.value = to
    this.#wanted = to
    this.#seeking ??= this.#seekWanted().finally(() => {
      this.#seeking = undefined
    })
    await this.#seeking
  }

  setSpeed(speed: number): void {
    this.speed.value = speed
  }

  setSkipsIdle(skips: boolean): void {
    this.skipsIdle.value = skips
  }

  close(): void {
    this.#closed.abort()
    this.#pause()
    this.#screen.close()
  }

  async #seekWanted(): Promise<void> {
    while (this.#wanted !== undefined && !this.#closed.signal.aborted) {
      const to = this.#wanted
      if (this.#reel.leadsTo(to, this.#shown)) this.#show(to, false)
      else if (this.#reel.holds(to)) this.#show(to, true)
      else if (!(await this.#fetchAt(to))) return
      if (this.#wanted === to) this.#wanted = undefined
    }
  }

  async #fetchAt(seconds: number): Promise<boolean> {
    this.isWaiting.value = true
    try {
      const part = await this.#fetch({ from: seconds }, this.#closed.signal)
      this.#reel = new Reel(part)
      this.seconds.value = Math.max(this.seconds.peek(), part.total)
      this.#show(part.seconds, true)
      this.problem.value = undefined
      return true
    } catch (error) {
      if (this.#closed.signal.aborted) return false
      this.#wanted = undefined
      this.problem.value = error
      this.#pause()
      return false
    } finally {
      this.isWaiting.value = false
    }
  }

  /** Draws everything up to a second. @param anew from the screen with which the reel begins */
  #show(seconds: number, anew: boolean): void {
    if (anew) {
      this.#screen.reset(this.#reel.head)
      this.#next = 0
    }
    const { events, head } = this.#reel
    let text = ''
    for (let event = events[this.#next]; event && event[0] <= seconds + ROUNDING_SECONDS; event = events[++this.#next]) {
      const size = event[1] === 'r' ? parseSize(event[2]) : undefined
      if (size) {
        this.#screen.write(text)
        text = ''
        this.#screen.resize(size.columns, size.rows)
      } else text += shownText(event, head.hasTerminal) ?? ''
    }
    this.#screen.write(text)
    this.#shown = seconds
  }

  #tick(nowMs: number): void {
    if (!this.isPlaying.peek()) return
    const watched = Math.min(MAX_FRAME_SECONDS, Math.max(0, nowMs - this.#frameMs) / 1000) * this.speed.peek()
    this.#frameMs = nowMs
    // a jump is under way: the clock stands until its frame does
    if (!this.#seeking) this.#advance(watched)
    if (this.isPlaying.peek()) this.#frame = requestAnimationFrame((next) => this.#tick(next))
  }

  #advance(watched: number): void {
    const { events, next, begin } = this.#reel
    const to = passed(events, this.#next, begin, this.#shown, watched, this.skipsIdle.peek())
    if (to !== undefined) {
      this.#show(to, false)
      this.time.value = to
    } else if (next === undefined) {
      this.#show(this.seconds.peek(), false)
      this.time.value = this.seconds.peek()
      this.#pause()
    }
    this.isWaiting.value = to === undefined && next !== undefined
    if (next !== undefined && this.#isShort()) this.#growing ??= this.#grow(next)
  }

  #isShort(): boolean {
    const ahead = this.#reel.last - this.#shown
    return this.#reel.events.length - this.#next < AHEAD_EVENTS || ahead < AHEAD_SECONDS * this.speed.peek()
  }

  async #grow(block: number): Promise<void> {
    const reel = this.#reel
    try {
      const part = await this.#fetch({ block }, this.#closed.signal)
      // somebody jumped meanwhile: it belongs nowhere
      if (reel !== this.#reel) return
      this.#next -= reel.append(part, this.#next)
      this.seconds.value = reel.total
      this.problem.value = undefined
    } catch (error) {
      if (this.#closed.signal.aborted || reel !== this.#reel) return
      this.problem.value = error
      this.isWaiting.value = false
      this.#pause()
    } finally {
      this.#growing = undefined
    }
  }

  #pause(): void {
    cancelAnimationFrame(this.#frame)
    this.isPlaying.value = false
  }
}
