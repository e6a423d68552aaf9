/** New keys after so many bytes or so long; ssh2 has the exchange but never starts one. */
import type { SshTimeouts } from './limits.js'

export interface RekeyWire {
  /** Bytes both ways since the connection began. */
  totalBytes(): number
  exchanging(): boolean
  rekey(): void
}

export class Rekey {
  readonly #wire: RekeyWire
  readonly #limits: Pick<SshTimeouts, 'rekeyBytes' | 'rekeyMs'>
  #bytesAt: number
  #timeAt: number

  constructor(wire: RekeyWire, limits: Pick<SshTimeouts, 'rekeyBytes' | 'rekeyMs'>, now: number) {
    this.#wire = wire
    this.#limits = limits
    this.#bytesAt = wire.totalBytes()
    this.#timeAt = now
  }

  /** Starts an exchange when one is due. Cheap: called for every read and every burst of writes. */
  check(now: number): void {
    if (this.#wire.exchanging()) return
    const due = this.#wire.totalBytes() - this.#bytesAt >= this.#limits.rekeyBytes || now - this.#timeAt >= this.#limits.rekeyMs
    if (due) this.#wire.rekey()
  }

  /** An exchange has finished, whoever began it. */
  completed(now: number): void {
    this.#bytesAt = this.#wire.totalBytes()
    this.#timeAt = now
  }
}
