/** The menu of `ssh USER@bastion` with a terminal and without a target. */
import { abortReason, OpsError } from '../core/errors.js'
import type { ClientEnd, PtyRequest, Target, TargetListing } from '../core/types.js'
import { readKey } from './picker-keys.js'
import { PickerModel } from './picker-model.js'
import { ENTER_SCREEN, LEAVE_SCREEN, paint } from './picker-paint.js'
import { drawMenu, type Frame, listRows, screenSize } from './picker-view.js'

export interface PickerOptions {
  /** Tells that listings may have changed (PodResolver.onChange). Without it they are asked for every second. */
  readonly onChange?: (listener: () => void) => () => void
  /** How long a lone Esc is waited for to become an arrow key: as long as vim does. Default 100 ms. */
  readonly escapeMs?: number
}

/** A change shows after this at the earliest, so that a rollout of a thousand pods is a few frames. */
const REFRESH_MS = 250
const POLL_MS = 1000
/** Listing ten thousand pods takes tens of milliseconds; at most this share of the time goes into it. */
const REFRESH_COST_FACTOR = 20

/**
 * Lets the user choose one of `listings()`. Draws on the alternate screen, and leaves it however it ends.
 *
 * What was typed after the choice stays for the session: bytes behind the last key that was used are put back with
 * `stdin.unshift`, and the picker's listener is gone when the promise settles, so the next reader (pipe, pipeline,
 * iterator, 'data') starts with exactly those bytes. Nothing else may read `client.stdin` until then.
 * @returns undefined when the user left (Esc, Ctrl-C, Ctrl-D, end of input, connection gone)
 * @throws OpsError TARGET_REQUIRED when the terminal cannot place a cursor; the reason of `signal`
 */
export async function pick(
  client: ClientEnd,
  listings: () => readonly TargetListing[],
  pty: PtyRequest,
  signal: AbortSignal,
  options: PickerOptions = {},
): Promise<Target | undefined> {
  if (pty.term === '' || pty.term === 'dumb') throw new OpsError('TARGET_REQUIRED', `pick target: terminal "${pty.term}" cannot place a cursor`)
  if (signal.aborted) throw abortReason(signal)
  if (client.gone.aborted) return undefined
  return new Picker(client, listings, pty, options).run(signal)
}

class Picker {
  readonly #client: ClientEnd
  readonly #listings: () => readonly TargetListing[]
  readonly #options: PickerOptions
  readonly #model: PickerModel
  #size: { readonly columns: number; readonly rows: number }
  #shown: Frame | undefined
  #pending = Buffer.alloc(0)
  #escapeTimer: NodeJS.Timeout | undefined
  #refreshTimer: NodeJS.Timeout | undefined
  #refreshedMs = 0
  #refreshCostMs = 0
  #blocked = false
  #settle: (target: Target | undefined) => void = () => {}
  #fail: (error: unknown) => void = () => {}
  #settled = false

  constructor(client: ClientEnd, listings: () => readonly TargetListing[], pty: PtyRequest, options: PickerOptions) {
    this.#client = client
    this.#listings = listings
    this.#options = options
    this.#size = screenSize(pty.size)
    this.#model = new PickerModel(listings())
  }

  async run(signal: AbortSignal): Promise<Target | undefined> {
    const { stdin, stdout, gone } = this.#client
    const done = new Promise<Target | undefined>((resolve, reject) => {
      this.#settle = resolve
      this.#fail = reject
    })
    const leave = () => this.#settle(undefined)
    const abort = () => this.#fail(abortReason(signal))
    const read = () => this.#read()
    const drained = () => {
      this.#blocked = false
      this.#draw()
    }
    const unsubscribe = this.#client.subscribe({ resize: (size) => this.#resize(size) })
    const stopListening = this.#options.onChange?.(() => this.#refreshSoon()) ?? (() => {})
    gone.addEventListener('abort', leave)
    signal.addEventListener('abort', abort)
    stdout.on('drain', drained).on('error', leave)
    this.#write(ENTER_SCREEN)
    this.#draw()
    stdin.on('end', leave).on('error', leave).on('close', leave).on('readable', read)
    if (!this.#options.onChange) this.#refreshSoon()
    try {
      return await done
    } finally {
      this.#settled = true
      stdin.off('end', leave).off('error', leave).off('close', leave).off('readable', read)
      stdout.off('drain', drained).off('error', leave)
      signal.removeEventListener('abort', abort)
      gone.removeEventListener('abort', leave)
      stopListening()
      unsubscribe()
      clearTimeout(this.#escapeTimer)
      clearTimeout(this.#refreshTimer)
      if (this.#pending.length > 0 && !stdin.readableEnded && !stdin.destroyed) stdin.unshift(this.#pending)
      this.#write(LEAVE_SCREEN)
    }
  }

  #read(): void {
    clearTimeout(this.#escapeTimer)
    for (let chunk: unknown = this.#client.stdin.read(); chunk !== null; chunk = this.#client.stdin.read()) {
      this.#pending = Buffer.concat([this.#pending, Buffer.from(chunk as Uint8Array)])
      this.#press(false)
      // The rest of what the stream holds is for the session.
      if (this.#settled) return
    }
    if (this.#pending.length > 0) this.#escapeTimer = setTimeout(() => this.#press(true), this.#options.escapeMs ?? 100)
    this.#draw()
  }

  /** @param complete nothing followed for a while: a lone Esc is a key */
  #press(complete: boolean): void {
    for (let read = readKey(this.#pending, complete); read && !this.#settled; read = readKey(this.#pending, complete)) {
      this.#pending = this.#pending.subarray(read.bytes)
      if (read.key.name === 'redraw') this.#shown = undefined
      const outcome = this.#model.press(read.key, listRows(this.#size.rows))
      if (outcome.kind === 'stay') continue
      this.#settled = true
      this.#settle(outcome.kind === 'chosen' ? outcome.target : undefined)
    }
    if (complete) this.#draw()
  }

  #resize(size: { readonly columns: number; readonly rows: number }): void {
    this.#size = screenSize(size)
    this.#shown = undefined
    this.#draw()
  }

  #refreshSoon(): void {
    if (this.#refreshTimer || this.#settled) return
    const restMs = this.#refreshedMs + this.#refreshCostMs * REFRESH_COST_FACTOR - performance.now()
    const waitMs = Math.max(this.#options.onChange ? REFRESH_MS : POLL_MS, restMs)
    this.#refreshTimer = setTimeout(() => this.#refresh(), waitMs)
  }

  #refresh(): void {
    this.#refreshTimer = undefined
    const started = performance.now()
    try {
      this.#model.update(this.#listings())
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#refreshedMs = performance.now()
    this.#refreshCostMs = this.#refreshedMs - started
    this.#draw()
    if (!this.#options.onChange) this.#refreshSoon()
  }

  /** Draws the latest state; while the client is slow to take it, frames in between are left out. */
  #draw(): void {
    if (this.#blocked || this.#settled) return
    const { columns, rows } = this.#size
    const frame = drawMenu(this.#model.screen(listRows(rows)), columns, rows)
    const bytes = paint(frame, this.#shown)
    this.#shown = frame
    if (bytes !== '') this.#write(bytes)
  }

  #write(text: string): void {
    const { stdout } = this.#client
    if (stdout.writable && !stdout.write(text)) this.#blocked = true
  }
}
