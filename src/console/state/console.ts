/** What every page shares: the API, who is logged in, the theme, one line of news. Made once in main.tsx and handed down by context. */
import { type Signal, signal } from '@preact/signals'
import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import { type ApiClient, ApiError, createApiClient } from '../../wire/api/client.js'
import type { Whoami } from '../../wire/api/login.js'
import { Theme } from './theme.js'

/** `asking` until the gateway has said who we are. */
export type Me = { readonly kind: 'asking' } | { readonly kind: 'nobody' } | { readonly kind: 'unknown'; readonly error: unknown } | KnownMe
export interface KnownMe extends Whoami {
  readonly kind: 'known'
}

export class Console {
  readonly api: ApiClient
  readonly me: Signal<Me> = signal({ kind: 'asking' })
  readonly theme = new Theme()
  /** Said once at the foot of the page, then gone. */
  readonly news = signal('')
  readonly helpShown = signal(false)

  constructor() {
    this.api = createApiClient({ baseUrl: '', fetch: (input, init) => this.#fetch(input, init) })
  }

  /** Asks the gateway for whom it takes this browser. Never rejects. */
  async ask(): Promise<void> {
    try {
      this.me.value = { kind: 'known', ...(await this.api.whoami()) }
    } catch (error) {
      this.me.value = error instanceof ApiError && error.status === 401 ? { kind: 'nobody' } : { kind: 'unknown', error }
    }
  }

  /** @throws ApiError AUTH_FAILED, AUTH_LOCKED */
  async login(user: string, password: string): Promise<void> {
    await this.api.login({ body: { user, password, cookie: true } })
    await this.ask()
  }

  async logout(): Promise<void> {
    await this.api.logout()
    this.me.value = { kind: 'nobody' }
  }

  mayAudit(): boolean {
    return this.#has('auditor') || this.#has('admin')
  }
  mayAct(): boolean {
    return this.#has('admin')
  }
  #has(role: 'auditor' | 'admin'): boolean {
    const me = this.me.value
    return me.kind === 'known' && me.roles.includes(role)
  }

  /** A login that has ended shows the log-in page in place of whatever stood there; the address stays. */
  async #fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
    const response = await globalThis.fetch(input, init)
    if (response.status === 401 && this.me.value.kind === 'known') this.me.value = { kind: 'nobody' }
    return response
  }
}

export const ConsoleContext = createContext<Console | undefined>(undefined)

/** @throws Error outside of the console's own tree */
export function useConsole(): Console {
  const context = useContext(ConsoleContext)
  if (!context) throw new Error('outside of the console')
  return context
}
