/**
 * What one operation of the API is: enough to register its route, to describe it in OpenAPI, and to call it. Runs in a browser.
 */
import { z } from 'zod'

/** Who may call. `admin` may all that `auditor` may, who may all that `user` may. `anyone` needs no login. */
export type Access = 'anyone' | 'user' | 'auditor' | 'admin'

/** One JSON answer. `T` is its type where that says more than the schema does. */
export interface JsonAnswer<T> {
  readonly kind: 'json'
  readonly schema: z.ZodType
  readonly as?: T
}
/** Bytes as they come; the client hands the Response over. */
export interface StreamAnswer {
  readonly kind: 'stream'
  readonly mediaType: string
}
/** An upgrade; the client hands the URL over. */
export interface SocketAnswer {
  readonly kind: 'socket'
}
export type Answer<T = unknown> = JsonAnswer<T> | StreamAnswer | SocketAnswer

export interface Operation<P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType, B extends z.ZodType = z.ZodType, A extends Answer = Answer> {
  readonly topic: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** OpenAPI's form: /api/v1/sessions/{id}. */
  readonly path: `/api/v1/${string}`
  readonly access: Access
  readonly summary: string
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** Largest body; 256 KiB. */
  readonly maxBodyBytes?: number
  /** `body` is bytes as they are, of any size, and no JSON. */
  readonly upload?: boolean
  readonly answer: A
  /** Of success; 200. */
  readonly status?: number
  /** Shares the route of another operation, which tells the two apart by the query; no route and no page of its own. */
  readonly variantOf?: string
}
export type Operations = Readonly<Record<string, Operation>>

/** Content of a file: what fetch takes as a body, in browsers and in Node. */
export const contentSchema = z.custom<string | Uint8Array<ArrayBuffer> | Blob>()

/** Keeps the schemas' types. */
export function operation<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends Answer>(
  facts: Operation<P, Q, B, A>,
): Operation<P, Q, B, A> {
  return facts
}

export function json<S extends z.ZodType>(schema: S): JsonAnswer<z.output<S>> {
  return { kind: 'json', schema }
}
/** An answer whose type is known more exactly than its schema checks. */
export function jsonAs<T>(schema: z.ZodType): JsonAnswer<T> {
  return { kind: 'json', schema }
}
export function stream(mediaType: string): StreamAnswer {
  return { kind: 'stream', mediaType }
}
export const SOCKET: SocketAnswer = { kind: 'socket' }
