/** The HTTP side of a config: logins and tokens, the API, live views, the doors that run programs, the console. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Registry } from 'prom-client'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { Scope } from '../core/scope.js'
import type { EventFilter, Login, StoredEvent, TargetResolver } from '../core/types.js'
import { apiRoutes } from '../http/api.js'
import type { ApiParts } from '../http/api-parts.js'
import { Authenticator } from '../http/authenticate.js'
import { consoleRoutes } from '../http/console-routes.js'
import { securityHeaders } from '../http/headers.js'
import { healthRoutes, isReady, metricsRoute, type ReadyCheck, runChecks } from '../http/health.js'
import { liveViews } from '../http/live.js'
import { LoginRate } from '../http/login-rate.js'
import { Refusals } from '../http/refusals.js'
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../http/server.js'
import type { User } from '../identity/directory.js'
import { fingerprint } from '../identity/public-key.js'
import { Revocations } from '../identity/revocations.js'
import { Tokens } from '../identity/token.js'
import { TokenKeys } from '../identity/token-keys.js'
import type { Approvals } from '../session/approvals.js'
import type { Entrance } from '../session/open.js'
import type { SessionRegistry } from '../session/registry.js'
import { eventFilter } from '../store/audit-filter.js'
import type { AuditLog } from '../store/audit-log.js'
import type { Search } from '../store/search.js'
import type { Health } from '../wire/api/health.js'
import { ruleItem } from '../wire/api/rules.js'
import type { ClusterItem, NodeItem } from '../wire/api/targets.js'
import type { UserItem } from '../wire/api/users.js'
import type { Cluster } from './clusters.js'
import { evidencePacks } from './evidence-pack.js'
import { execDoors } from './exec-doors.js'
import type { RuleBook } from './rules.js'
import { freshSearch } from './search.js'
import type { SharedLists } from './shared-lists.js'
import type { BuiltStages } from './stages.js'
import { podUsage } from './top.js'

export type Route = HttpServerOptions['routes'][number]

export interface HttpSide {
  readonly config: Config
  readonly log: Logger
  /** Closes what is opened here. */
  readonly scope: Scope
  readonly audit: AuditLog
  readonly publicKey: string
  /** The index; asked for what has rested until now. */
  readonly search: Search
  readonly book: RuleBook
  /** Those that live in Redis: the way to change them. */
  readonly lists: Pick<SharedLists, 'rules' | 'users'>
  readonly login: Login
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly resolver: TargetResolver & ApiParts['watchable']
  readonly registry: SessionRegistry
  readonly entrance: Entrance
  readonly approvals: Approvals
  readonly stages: BuiltStages
  readonly checks: readonly ReadyCheck[]
  readonly metrics: Registry
  readonly connections: () => number
  readonly isDraining: () => boolean
  /** Further routes, made with the way to ask who asks. */
  readonly doors?: readonly ((identify: Authenticator['identify']) => Route)[]
}

/** The package's folder: this file runs as src/build/http.ts and as dist/src/build/http.js. */
const ROOT = join(import.meta.dirname, existsSync(join(import.meta.dirname, '../../package.json')) ? '../..' : '../../..')
const CONSOLE = join(ROOT, 'dist', 'console')

/** Of one login in a minute, at the doors that run programs: a batch over five hundred pods is as many requests. */
const DOOR_REQUESTS = 6000

/** @throws OpsError CONFIG_INVALID for token keys that others can read; Error of listen(2) */
export async function buildHttp(side: HttpSide): Promise<HttpServer> {
  const { config, log, scope, audit, resolver, entrance } = side
  const state = join(config.dataDir, 'state')
  const keys = await TokenKeys.load(join(state, 'token_keys.json'))
  const revocations = scope.add(await Revocations.open(join(state, 'revoked.ndjson')))
  const tokens = new Tokens({ keys, revocations, directory: side.book.directory, lifetimeMs: config.http.tokenLifetimeMs })
  const refusals = scope.add(new Refusals(audit, log))
  const { origins } = config.http
  const isSecure = config.http.tls !== undefined || origins.some((origin) => origin.startsWith('https:'))
  const auth = new Authenticator({ tokens, refusals, isSecure, origins })
  const parts = apiParts(side, { auth, tokens, refusals })
  const live = liveViews(parts)
  const rate = new LoginRate(DOOR_REQUESTS)
  const identify: Authenticator['identify'] = async (request) => {
    const { identity, sid } = await auth.bearer(request)
    rate.take(sid)
    return identity
  }
  const doors = execDoors({ config, identify, isOwnOrigin: auth.isOwnOrigin, entrance, resolver, upgrades: [live.entry], log })
  const routes: Route[] = [
    securityHeaders(isSecure),
    live.route,
    healthRoutes(side.checks),
    metricsRoute(side.metrics),
    apiRoutes(parts, { version: await version(), also: [...doors.routes, ...(side.doors ?? []).map((door) => door(identify))] }),
    doors.upgrades,
    consoleRoutes(CONSOLE),
  ]
  return scope.add(await startHttpServer({ listen: config.http.listen, ...(await tls(config)), routes, isNotFoundTaken: true, log }))
}

function apiParts(side: HttpSide, own: Pick<ApiParts, 'auth' | 'tokens' | 'refusals'>): ApiParts {
  const { audit, book, config, stages, publicKey } = side
  const search = freshSearch(side.search, audit)
  const startedAt = new Date()
  return {
    ...own,
    login: side.login,
    audit,
    search,
    follow: (filter, listener) => {
      const passes = followFilter(filter)
      return audit.onAppend((event) => passes(event) && listener(event))
    },
    registry: side.registry,
    policy: book.policy,
    resolver: side.resolver,
    watchable: side.resolver,
    clusters: () => clusterItems(side),
    nodes: () => nodeItems(side),
    usage: podUsage(side.clusters, book.policy),
    rules: () => book.rules.map((rule) => ruleItem.parse(rule)),
    users: () => book.users.map(userItem),
    identityOf: (name) => {
      const user = book.directory.find(name)
      return user && { user: user.name, groups: user.groups, roles: user.roles, method: 'token', from: { host: '', port: 0 } }
    },
    recordings: stages.tapes,
    audience: stages.audience,
    evidence: evidencePacks({ dataDir: config.dataDir, publicKey, search, tapes: stages.tapes, query: (filter, signal) => audit.query(filter, signal) }),
    health: () => healthOf(side, startedAt),
    approvals: side.approvals,
    lists: side.lists,
    log: side.log,
  }
}

function followFilter({ cursor: _cursor, limit: _limit, order: _order, verdict, batch, ...filter }: EventFilter): (event: StoredEvent) => boolean {
  const passes = eventFilter(filter)
  return (event) => passes(event) && (verdict === undefined || Reflect.get(event, 'verdict') === verdict) && (batch === undefined || event.batch === batch)
}

function clusterItems({ config, clusters }: HttpSide): ClusterItem[] {
  return config.clusters.map((cluster) => {
    const status = clusters.get(cluster.name)?.inventory.status()
    return {
      name: cluster.name,
      kind: cluster.kind,
      via: cluster.kind === 'kubernetes' ? cluster.via : cluster.kind,
      pods: status?.pods ?? 0,
      synced: status?.synced ?? false,
      ...(status?.staleSinceMs !== undefined && { staleSince: new Date(status.staleSinceMs).toISOString() }),
    }
  })
}

function nodeItems({ clusters }: HttpSide): Omit<NodeItem, 'pods'>[] {
  const nodes = new Map<string, Omit<NodeItem, 'pods'>>()
  for (const [cluster, { inventory }] of clusters) {
    for (const { node, hostIp } of inventory.pods()) if (node !== '') nodes.set(`${cluster}/${node}`, { name: node, cluster, hostIp })
  }
  return [...nodes.values()].sort((a, b) => (a.cluster === b.cluster ? compare(a.name, b.name) : compare(a.cluster, b.cluster)))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Nothing that opens a door: of keys the fingerprint, as `ssh-keygen -l` prints it. */
function userItem({ name, groups, roles, password, keys }: User): UserItem {
  return {
    name,
    groups: [...groups],
    roles: [...roles],
    hasPassword: password !== undefined,
    keys: keys.map(({ type, blob }) => ({
      type,
      fingerprint: fingerprint(Buffer.from(blob, 'base64')),
    })),
  }
}

async function healthOf(side: HttpSide, startedAt: Date): Promise<Health> {
  const checks = await runChecks(side.checks)
  const { head, committed, pending, spooling, stores } = side.audit.status()
  return {
    version: await version(),
    startedAt: startedAt.toISOString(),
    ready: isReady(checks),
    checks: checks.map((check) => ({ ...check })),
    draining: side.isDraining(),
    sessions: side.registry.size,
    connections: side.connections(),
    clusters: clusterItems(side),
    audit: { seq: head.seq, hash: head.hash, committed, pending, spooling, publicKey: side.publicKey, stores: stores.map((store) => ({ ...store })) },
  }
}

async function version(): Promise<string> {
  return (JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }).version
}

async function tls({ http }: Config): Promise<{ tls?: { cert: Buffer; key: Buffer } }> {
  if (!http.tls) return {}
  const [cert, key] = await Promise.all([readFile(http.tls.cert), readFile(http.tls.key)])
  return { tls: { cert, key } }
}
