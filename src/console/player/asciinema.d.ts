/** What create() of asciinema-player 3.18 takes besides its own sources (dist/core: getDriver), and its types leave out. */
import 'asciinema-player'

declare module 'asciinema-player' {
  interface DriverCalls {
    dispatch(event: 'reset', data: { size: { cols: number; rows: number }; init?: string; theme: null }): void
    dispatch(event: 'output', data: string): void
    dispatch(event: 'resize', data: { cols: number; rows: number }): void
    dispatch(event: 'metadata', data: { hasAudio: boolean }): void
  }
  interface Driver {
    /** Once the terminal listens. */
    init(): void
    play(): void
    pause(): void
    stop(): void
    getTiming(): { time: number; rate: number; sampledAt: number }
  }
  export function create(source: (calls: DriverCalls) => Driver, container: HTMLElement, options?: Options): Player
}
