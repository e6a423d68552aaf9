/** asciinema-player as a screen: its terminal and its drawing; what is shown when is the playback's. */
import { create, type DriverCalls, type Player } from 'asciinema-player'
import 'asciinema-player/dist/bundle/asciinema-player.css'
import type { CastHead } from './cast.js'

export class Screen {
  readonly #player: Player
  #calls: DriverCalls | undefined

  /** @param ready called once, when it can be written to; not in the same turn */
  constructor(place: HTMLElement, ready: () => void) {
    const driver = (calls: DriverCalls) => ({
      init: () => {
        this.#calls = calls
        calls.dispatch('metadata', { hasAudio: false })
        ready()
      },
      // its own keys and clicks do nothing: the page has its own
      play: () => {},
      pause: () => {},
      stop: () => {},
      getTiming: () => ({ time: 0, rate: 0, sampledAt: 0 }),
    })
    this.#player = create(driver, place, { controls: false, fit: 'both', theme: 'dockin', cursorMode: 'steady', terminalFontFamily: 'var(--mono)' })
  }

  /** An empty terminal. */
  reset({ columns, rows }: Pick<CastHead, 'columns' | 'rows'>): void {
    this.#calls?.dispatch('reset', { size: { cols: columns, rows }, theme: null })
  }

  write(text: string): void {
    if (text !== '') this.#calls?.dispatch('output', text)
  }

  resize(columns: number, rows: number): void {
    this.#calls?.dispatch('resize', { cols: columns, rows })
  }

  close(): void {
    this.#calls = undefined
    this.#player.dispose()
  }
}
