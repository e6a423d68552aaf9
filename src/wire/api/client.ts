/**
 * A typed client of OPERATIONS, for a browser and for Node:
 *
 *     const api = createApiClient({ baseUrl: 'https://bastion:8443', token })
 *     const { items, next } = await api.listSessions({ query: { user: 'bob' } })
 *     const cast = await api.getRecording({ params: { id } })     // a Response
 *     new WebSocket(api.watchSession({ params: { id } }))          // a URL
 */
import type { z } from 'zod'
import type { ErrorCode } from '../../core/errors.js'
import { CSRF_HEADER, errorSchema } from './common.js'
import type { Answer, JsonAnswer, Operation, SocketAnswer } from './operation.js'
import { OPERATIONS } from './operations.js'

export interface ApiClientOptions {
  /** Like https://bastion:8443; "" in a page that the gateway serves. */
  readonly baseUrl: string
  /** Bearer of each request; asked for anew each time when it is a function. Absent in a browser: the cookie does it. */
  readonly token?: string | (() => string | undefined | Promise<string | undefined>)
  readonly fetch?: typeof globalThis.fetch
}

/** What the gateway answered in place of what was asked for. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  readonly status: number
  readonly rule?: string
  /** Stands in the gateway's log; empty when the answer was not the gateway's. */
  readonly trace: string

  constructor(facts: {
    readonly code: ErrorCode
    readonly message: string
    readonly status: number
    readonly trace: string
    readonly rule?: string | undefined
  }) {
    super(facts.message)
    this.code = facts.code
    this.status = facts.status
    this.trace = facts.trace
    if (facts.rule !== undefined) this.rule = facts.rule
  }
}

type Given<K extends string, S> = [S] extends [z.ZodType]
  ? z.ZodType extends S
    ? unknown
    : undefined extends z.input<S>
      ? Readonly<Partial<Record<K, z.input<S>>>>
      : Record<never, never> extends z.input<S>
        ? Readonly<Partial<Record<K, z.input<S>>>>
        : Readonly<Record<K, z.input<S>>>
  : unknown
/** Parameters, query and body of an operation, each where it has one. */
export type InputOf<O> =
  O extends Operation<infer P, infer Q, infer B, Answer>
    ? Given<'params', P> & Given<'query', Q> & Given<'body', B> & { readonly signal?: AbortSignal; readonly headers?: Readonly<Record<string, string>> }
    : never
export type AnswerOf<O> = O extends { readonly answer: infer A }
  ? A extends JsonAnswer<infer T>
    ? Promise<T>
    : A extends SocketAnswer
      ? string
      : Promise<Response>
  : never

type Call<O> = Record<never, never> extends InputOf<O> ? (input?: InputOf<O>) => AnswerOf<O> : (input: InputOf<O>) => AnswerOf<O>
export type ApiClient = { readonly [K in keyof typeof OPERATIONS]: Call<(typeof OPERATIONS)[K]> }

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, unknown>>
  readonly body?: unknown
  readonly signal?: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
}

/** Every call rejects with an ApiError for an answer that is no success, and with fetch's own error when none came. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const calls = Object.entries(OPERATIONS).map(([name, operation]) => [name, (input: AnyInput = {}) => call(options, operation as Operation, input)])
  return Object.fromEntries(calls) as ApiClient
}

function call(options: ApiClientOptions, operation: Operation, input: AnyInput): unknown {
  const path = pathOf(operation, input)
  if (operation.answer.kind === 'socket') return socketUrl(options.baseUrl, path)
  return send(options, operation, path, input)
}

async function send(options: ApiClientOptions, operation: Operation, path: string, input: AnyInput): Promise<unknown> {
  const { method, answer } = operation
  const token = typeof options.token === 'function' ? await options.token() : options.token
  const isUpload = operation.upload === true
  const body = input.body === undefined && operation.body && method !== 'GET' ? {} : input.body
  const response = await (options.fetch ?? globalThis.fetch)(options.baseUrl + path, {
    method,
    credentials: 'same-origin',
    headers: {
      ...input.headers,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method !== 'GET' && { [CSRF_HEADER]: '1' }),
      ...(body !== undefined && { 'content-type': isUpload ? 'application/octet-stream' : 'application/json' }),
    },
    ...(body !== undefined && { body: isUpload ? (body as BodyInit) : JSON.stringify(body) }),
    ...(input.signal && { signal: input.signal }),
  })
  if (!response.ok) throw await problemOf(response)
  return answer.kind === 'json' ? response.json() : response
}

/** The operation's path with what it needs in its place; what is undefined is left out of the query. */
export function pathOf(operation: Operation, { params = {}, query = {} }: Pick<AnyInput, 'params' | 'query'>): string {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ''))
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) search.append(key, String(one))
    else if (value !== undefined) search.append(key, String(value))
  }
  if (operation.variantOf !== undefined && operation.answer.kind === 'stream' && !search.has('follow')) search.append('follow', '1')
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}

function socketUrl(baseUrl: string, path: string): string {
  const base = baseUrl === '' ? (Reflect.get(globalThis, 'location') as { readonly origin: string }).origin : baseUrl
  return base.replace(/^http/, 'ws') + path
}

async function problemOf(response: Response): Promise<ApiError> {
  const { status } = response
  const text = await response.text().catch(() => '')
  const parsed = errorSchema.safeParse(parseJson(text))
  if (parsed.success) return new ApiError({ ...parsed.data, status })
  // not the gateway's words: a proxy between
  return new ApiError({ code: status === 401 ? 'AUTH_FAILED' : 'PROTOCOL_ERROR', message: `answered ${status}: ${text.slice(0, 200)}`, status, trace: '' })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // errorSchema says that it is none
  }
}
