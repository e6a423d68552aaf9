/**
 * Opens things in order and closes them in reverse, once. Node 20 has Symbol.asyncDispose but no AsyncDisposableStack.
 */
export class Scope {
  readonly #closers: (() => void | Promise<void>)[] = []
  #closed: Promise<void> | undefined

  /** Registers `close` to run when the scope ends. On a scope that has ended it runs at once. */
  defer(close: () => void | Promise<void>): void {
    if (this.#closed) {
      this.#closed = this.#closed.then(close)
      return
    }
    this.#closers.push(close)
  }

  /** Registers `thing.close()` and hands the thing back. */
  add<T extends { close(): void | Promise<void> }>(thing: T): T {
    this.defer(() => thing.close())
    return thing
  }

  /**
   * Runs every closer in reverse order, each after the one before it has settled, whether or not it failed.
   * May be called twice; the second call waits for the first.
   * @throws AggregateError of what the closers threw, once all have run
   */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll()
    return this.#closed
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = []
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `closing failed: ${errors.map(String).join('; ')}`)
  }
}
