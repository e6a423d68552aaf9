/** What the API is handed: the gateway's parts, each as little as is used. */
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Logger } from '../core/log.js'
import type { AuditSearch, AuditSink, EventFilter, Identity, Login, Policy, Role, StoredEvent, TargetListing, TargetResolver } from '../core/types.js'
import type { Approvals } from '../session/approvals.js'
import type { SessionRegistry } from '../session/registry.js'
import type { Health } from '../wire/api/health.js'
import type { ListMistake } from '../wire/api/lists.js'
import type { Access, JsonAnswer, Operation } from '../wire/api/operation.js'
import type { OPERATIONS, OperationName } from '../wire/api/operations.js'
import type { RuleItem } from '../wire/api/rules.js'
import type { ClusterItem, NodeItem } from '../wire/api/targets.js'
import type { TopAnswer } from '../wire/api/top.js'
import type { UserItem } from '../wire/api/users.js'
import type { CastPlace } from '../wire/tape-part.js'
import type { Authenticator, Bearer, TokenDesk } from './authenticate.js'
import type { Refusals } from './refusals.js'

export interface ApiParts {
  readonly auth: Authenticator
  readonly tokens: TokenDesk
  readonly refusals: Refusals
  readonly login: Login
  readonly audit: Pick<AuditSink, 'write'>
  readonly search: AuditSearch
  /** Calls back with each event from now on that passes. Returns the way to stop. @throws OpsError LIMIT_EXCEEDED */
  readonly follow: (filter: EventFilter, listener: (event: StoredEvent) => void) => () => void
  readonly registry: SessionRegistry
  readonly policy: Policy
  readonly resolver: Pick<TargetResolver, 'list' | 'resolve'>
  readonly watchable: {
    /** Calls back when a pod has come, changed or gone. Returns the way to stop. */
    onChange(listener: (pod: { readonly cluster: string; readonly uid: string }) => void): () => void
    /** Its containers that the identity may see; none when it has gone. */
    listPod(identity: Identity, pod: { readonly cluster: string; readonly uid: string }): readonly TargetListing[]
  }
  readonly clusters: () => readonly ClusterItem[]
  /** Without `pods`, which depend on who asks. */
  readonly nodes: () => readonly Omit<NodeItem, 'pods'>[]
  /** Of the pods that are named, what the asker may see. */
  readonly usage: (
    identity: Identity,
    pods: readonly { readonly cluster: string; readonly namespace: string; readonly pod: string }[],
    signal: AbortSignal,
  ) => Promise<TopAnswer>
  readonly rules: () => readonly RuleItem[]
  readonly users: () => readonly UserItem[]
  /** Somebody else, as the policy would know them; undefined: no such user. */
  readonly identityOf: (user: string) => Identity | undefined
  /** @throws OpsError NOT_FOUND */
  readonly recordings: {
    open(session: string): Promise<Readable>
    /** From a second on: header, the screen as it was, what follows. */
    seek(session: string, seconds: number): Promise<Readable>
    /** Some of it, with a header that says what follows. */
    part(session: string, place: CastPlace, limit: number): Promise<Buffer>
    /** Where commands begin in it. */
    marks(session: string): Promise<readonly { readonly seconds: number; readonly seq?: number }[]>
  }
  readonly audience: { join(session: string): Readable; watchers(session: string): number }
  /** The pack of a session that is over, as a tar. @throws OpsError NOT_FOUND */
  readonly evidence: (session: string) => Promise<Readable>
  readonly health: () => Promise<Health>
  readonly approvals: Pick<Approvals, 'list' | 'decide' | 'mayDecide'>
  /** Lists that live in Redis; absent: the gateway has its own in files. */
  readonly lists: { readonly rules?: SharedListDoor; readonly users?: SharedListDoor }
  readonly log: Logger
}

/** A list that several gateways share; build/shared-list.ts. */
export interface SharedListDoor {
  /** In the form of the file. */
  readonly current: { readonly version: number; readonly list: readonly unknown[] }
  readonly trouble: string | undefined
  check(list: readonly unknown[]): readonly ListMistake[]
  /** @throws OpsError CONFIG_INVALID, CONFLICT, AUDIT_UNAVAILABLE, TARGET_UNREACHABLE; all others here too */
  change(
    identity: Identity,
    edit: (list: readonly unknown[]) => readonly unknown[],
    expected: number | 'any',
  ): Promise<{ readonly version: number; readonly list: readonly unknown[] }>
  put(
    identity: Identity,
    entry: unknown,
    how: { readonly before?: string; readonly expected: number | 'any' },
  ): Promise<{ readonly version: number; readonly list: readonly unknown[] }>
  /** @throws OpsError NOT_FOUND */
  remove(identity: Identity, name: string, expected: number | 'any'): Promise<{ readonly version: number; readonly list: readonly unknown[] }>
  /** @throws OpsError NOT_FOUND */
  find(name: string): unknown
}

type Output<S> = [S] extends [z.ZodType] ? z.output<S> : undefined
type Part<O, K extends 'params' | 'query' | 'body'> = O extends { readonly [P in K]?: infer S } ? Output<NonNullable<S>> : undefined

/** One call of an operation: parsed, and by somebody who may make it. */
export interface Call<O = Operation> {
  readonly params: Part<O, 'params'>
  readonly query: Part<O, 'query'>
  readonly body: Part<O, 'body'>
  readonly identity: Identity
  readonly bearer: Bearer
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}
/** What a handler answers: the value of a JSON operation; for others the reply, which it has made itself. */
type Answered<O> = O extends { readonly answer: JsonAnswer<infer T> } ? T | FastifyReply : FastifyReply
export type Handler<K extends OperationName> = (
  call: Call<(typeof OPERATIONS)[K]>,
) => Answered<(typeof OPERATIONS)[K]> | Promise<Answered<(typeof OPERATIONS)[K]>>
export type Handlers = { readonly [K in OperationName]?: Handler<K> }

const RANK: Readonly<Record<Role, number>> = { user: 1, auditor: 2, admin: 3 }

/** Whether one of the roles is enough: an admin may what an auditor may, who may what a user may. */
export function mayCall({ roles }: Pick<Identity, 'roles'>, access: Access): boolean {
  return access === 'anyone' || roles.some((role) => RANK[role] >= RANK[access])
}
