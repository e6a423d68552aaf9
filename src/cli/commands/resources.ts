/** What `opsctl get` knows: how each resource is asked for, and how it prints. */
import type { z } from 'zod'
import type { DOORS } from '../../core/types.js'
import type { RuleItem } from '../../wire/api/rules.js'
import type { sessionItem, sessionStateSchema } from '../../wire/api/sessions.js'
import type { ClusterItem, NodeItem } from '../../wire/api/targets.js'
import type { UserItem } from '../../wire/api/users.js'
import { allItems } from '../api/pages.js'
import { ageOf } from '../api/rows.js'
import type { Gateway } from '../cli.js'
import { matcherOf } from '../dock/selector.js'
import { UsageError } from '../problem.js'
import { suggestion } from '../text/near.js'
import type { Listing } from '../text/output.js'
import { TARGET_LISTING } from './target.js'

export type SessionItem = z.output<typeof sessionItem>

export interface Filters {
  readonly cluster?: string
  readonly namespace?: string
  readonly node?: string
  readonly selector?: string
  readonly user?: string
  readonly target?: string
  readonly state?: z.output<typeof sessionStateSchema>
  readonly door?: (typeof DOORS)[number]
  readonly batch?: string
  readonly text?: string
  readonly since?: Date
  readonly until?: Date
  readonly limit?: number
  readonly signal?: AbortSignal
}

/** Items of one kind with the way to print them, so that callers need not know the kind. */
export interface Found {
  readonly count: number
  /** Name and content of each; a watch compares them. */
  readonly contents: ReadonlyMap<string, string>
  only(names: ReadonlySet<string>): Found
  with<R>(use: <T>(items: readonly T[], listing: Listing<T>) => R): R
}

export function found<T>(items: readonly T[], listing: Listing<T>): Found {
  return {
    count: items.length,
    contents: new Map(items.map((item) => [listing.name(item), JSON.stringify(item)])),
    only: (names) =>
      found(
        items.filter((item) => names.has(listing.name(item))),
        listing,
      ),
    with: (use) => use(items, listing),
  }
}

export interface Resource {
  /** The first is printed in help. */
  readonly names: readonly string[]
  fetch(gateway: Gateway, filters: Filters): Promise<Found>
  /** Present where the gateway tells of changes; others are asked again and again. */
  readonly isStreamed?: boolean
}

const CLUSTERS: Listing<ClusterItem> = {
  name: (item) => item.name,
  columns: [
    { title: 'NAME', value: (item) => item.name },
    { title: 'KIND', value: (item) => item.kind },
    { title: 'VIA', value: (item) => item.via },
    { title: 'PODS', value: (item) => item.pods, align: 'right' },
    { title: 'STATE', value: (item) => (item.staleSince ? `stale since ${item.staleSince}` : item.synced ? 'synced' : 'reading') },
  ],
}

const NODES: Listing<NodeItem> = {
  name: (item) => item.name,
  columns: [
    { title: 'NAME', value: (item) => item.name },
    { title: 'CLUSTER', value: (item) => item.cluster },
    { title: 'IP', value: (item) => item.hostIp },
    { title: 'PODS', value: (item) => item.pods, align: 'right' },
  ],
}

/** "a/shop/web-0/web"; a refused session knows only what was asked for. */
export function sessionTarget({ target, address }: Pick<SessionItem, 'target' | 'address'>): string {
  return target ? `${target.cluster}/${target.namespace}/${target.pod}/${target.container}` : (address ?? '')
}

/** "1h2m", "3.2s"; "" for what is not known. */
export function durationText(ms: number | undefined): string {
  if (ms === undefined) return ''
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60 ? `${minutes}m${Math.floor(ms / 1000) % 60}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m`
}

export const SESSIONS: Listing<SessionItem> = {
  name: (item) => item.id,
  columns: [
    { title: 'ID', value: (item) => item.id },
    { title: 'USER', value: (item) => item.user, shrinkTo: 8 },
    { title: 'DOOR', value: (item) => item.door },
    { title: 'TARGET', value: sessionTarget, shrinkTo: 16, cut: 'middle' },
    { title: 'STATE', value: (item) => item.state },
    { title: 'AGE', value: (item) => ageOf(item.startedAt, Date.now()) },
    { title: 'LASTED', value: (item) => durationText(item.ms), wide: true },
    { title: 'LINES', value: (item) => item.commands, align: 'right' },
    { title: 'DENIED', value: (item) => item.denied, align: 'right' },
    { title: 'EXIT', value: (item) => item.exit, align: 'right' },
    { title: 'FROM', value: (item) => item.from, wide: true },
    { title: 'RULE', value: (item) => item.rule, wide: true },
    { title: 'REASON', value: (item) => item.reason, wide: true, shrinkTo: 12 },
    { title: 'REVIEWED', value: (item) => item.review?.by, wide: true },
  ],
}

const RULES: Listing<RuleItem> = {
  name: (item) => item.name,
  columns: [
    { title: 'NAME', value: (item) => item.name },
    { title: 'USERS', value: (item) => item.users.join(','), shrinkTo: 8 },
    { title: 'GROUPS', value: (item) => item.groups.join(','), shrinkTo: 8 },
    { title: 'FROM', value: (item) => item.from?.join(',') ?? '', wide: true, shrinkTo: 8 },
    { title: 'WHERE', value: (item) => item.where.map(whereText).join(' '), shrinkTo: 12 },
    { title: 'DOORS', value: (item) => item.doors.join(','), shrinkTo: 8 },
    { title: 'COMMANDS', value: (item) => (item.commands ? `${item.commands.mode} ${item.commands.entries.length}` : 'all') },
    { title: 'MESSAGE', value: (item) => item.message, wide: true, shrinkTo: 10 },
  ],
}

function whereText(where: RuleItem['where'][number]): string {
  const labels = Object.entries(where.labels).map(([key, values]) => `${key}=${values.join('|')}`)
  return [where.cluster, where.namespace, where.pod].map((globs) => globs.join('|') || '*').join('/') + (labels.length > 0 ? `[${labels.join(',')}]` : '')
}

const USERS: Listing<UserItem> = {
  name: (item) => item.name,
  columns: [
    { title: 'NAME', value: (item) => item.name },
    { title: 'GROUPS', value: (item) => item.groups.join(',') },
    { title: 'ROLES', value: (item) => item.roles.join(',') },
    { title: 'PASSWORD', value: (item) => (item.hasPassword ? 'yes' : 'no') },
    { title: 'KEYS', value: (item) => item.keys.length, align: 'right' },
    { title: 'FINGERPRINTS', value: (item) => item.keys.map((key) => key.fingerprint).join(' '), wide: true },
  ],
}

export function defined<T extends object>(facts: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> }
}

/** What filters of time and page look like in the API's queries. */
export function sessionQuery({ user, target, state, door, batch, text, since, until }: Filters) {
  return defined({ user, target, state, type: door, batch, text, from: since?.toISOString(), to: until?.toISOString() })
}

export const RESOURCES: readonly Resource[] = [
  {
    names: ['pods', 'pod', 'po', 'targets', 'target', 'containers'],
    isStreamed: true,
    fetch: async ({ api }, { cluster, namespace, node, selector, text, signal }) => {
      const items = await allItems((page) => api.listTargets({ query: { ...page, ...defined({ cluster, namespace, node, text }) }, ...(signal && { signal }) }))
      return found(selector === undefined ? items : items.filter(matcherOf(selector)), TARGET_LISTING)
    },
  },
  {
    names: ['nodes', 'node', 'no'],
    fetch: async ({ api }, { cluster, signal }) => found((await api.listNodes({ query: defined({ cluster }), ...(signal && { signal }) })).items, NODES),
  },
  { names: ['clusters', 'cluster'], fetch: async ({ api }, { signal }) => found((await api.listClusters(signal ? { signal } : {})).items, CLUSTERS) },
  {
    names: ['sessions', 'session', 'sess'],
    fetch: async ({ api }, filters) => {
      const { signal, limit } = filters
      const ask = (page: { readonly cursor?: string; readonly limit: number }) =>
        api.listSessions({ query: { ...page, ...sessionQuery(filters) }, ...(signal && { signal }) })
      return found(await allItems(ask, limit ?? 100), SESSIONS)
    },
  },
  { names: ['rules', 'rule'], fetch: async ({ api }, { signal }) => found((await api.listRules(signal ? { signal } : {})).items, RULES) },
  { names: ['users', 'user'], fetch: async ({ api }, { signal }) => found((await api.listUsers(signal ? { signal } : {})).items, USERS) },
]

/** @throws UsageError with what is near and what there is */
export function resourceNamed(name: string): Resource {
  const resource = RESOURCES.find(({ names }) => names.includes(name.toLowerCase()))
  if (resource) return resource
  const first = RESOURCES.map(({ names }) => names[0] ?? '')
  const near = suggestion(name.toLowerCase(), first)
  throw new UsageError(`there is no resource "${name}"${near || `; there are ${first.join(', ')}`}`)
}
