/** The gateway of a config: every part made, joined, opened in order and closed in reverse. */
import { mkdir } from 'node:fs/promises'
import type { Config } from '../config/values.js'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { Scope } from '../core/scope.js'
import type { AuditSink, Identity, Interceptor, Policy, Target } from '../core/types.js'
import type { ReadyCheck } from '../http/health.js'
import { keptRoutes } from '../http/kept-routes.js'
import { createMetrics } from '../http/metrics.js'
import { createLogin } from '../identity/login.js'
import { Approvals } from '../session/approvals.js'
import { Entrance } from '../session/open.js'
import { SessionRegistry } from '../session/registry.js'
import { loadHostKeys } from '../ssh/host-keys.js'
import { type SshServer, startSshServer } from '../ssh/server.js'
import type { Inventory } from '../target/inventory.js'
import { pick } from '../target/picker.js'
import { PodResolver } from '../target/resolver.js'
import { advisoryLog, NestedRuns } from './advisory.js'
import { buildAudit } from './audit.js'
import { buildCluster, type Cluster } from './clusters.js'
import { buildEvidence } from './evidence.js'
import { guardedShells } from './guard.js'
import { buildHttp } from './http.js'
import { tellLostSessions } from './lost-sessions.js'
import { tuneMemory } from './memory.js'
import { startPodCache } from './pod-cache.js'
import { buildResourceManager } from './resource-manager.js'
import { RuleBook, RuleReload, ruleMetrics } from './rules.js'
import { freshSearch } from './search.js'
import { buildSharedLists } from './shared-lists.js'
import { refusalEvent } from './ssh-refusals.js'
import { buildStages } from './stages.js'
import { transferServers } from './transfer.js'

export interface Gateway {
  readonly ssh: { readonly host: string; readonly port: number }
  readonly http: { readonly host: string; readonly port: number }
  /** Refuses new sessions, tells the running ones, ends them after `limitMs`, closes everything. May be called twice. */
  drain(limitMs: number): Promise<void>
}

/** The demo's configuration stands in no file (Config.file). */
const DEMO_FILE = '(demo)'
/** How long a start waits for the clusters; one that is slower is followed in the background. */
const FIRST_SYNC_MS = 5000

/** @throws OpsError: a port that is taken, a key that others can read, an audit that cannot be opened; what was opened is closed again */
export async function buildGateway(config: Config, log: Logger): Promise<Gateway> {
  tuneMemory()
  const scope = new Scope()
  try {
    return await build(config, log, scope)
  } catch (error) {
    await scope.close()
    throw error
  }
}

async function build(config: Config, log: Logger, scope: Scope): Promise<Gateway> {
  for (const warning of config.warnings) log.warn({ ...warning }, 'config.warning')
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 })
  const stop = new AbortController()
  scope.defer(() => stop.abort(new OpsError('DRAINING', 'the gateway has closed')))

  const builtAudit = scope.add(await buildAudit(config, log))
  const { log: audit, publicKey } = builtAudit
  log.info({ publicKey }, 'audit.key')

  const book = new RuleBook(config.rules, config.users)
  const { policy, directory } = book
  const clusters = new Map<string, Cluster>()
  for (const cluster of config.clusters) clusters.set(cluster.name, scope.add(await buildCluster(cluster, config, log)))
  const inventories = [...clusters.values()].map(({ inventory }) => inventory)
  const podCache = scope.add(await startPodCache(config, inventories, log))
  for (const inventory of inventories) inventory.start(stop.signal)
  await firstSync(inventories.filter(({ cluster }) => !podCache.warm.has(cluster)))

  const registry = new SessionRegistry()
  const approvals = new Approvals({ audit })
  const nested = new NestedRuns()
  const stages = scope.add(await buildStages(config, audit, log))
  const { search } = scope.add(buildEvidence(config, builtAudit, log))
  scope.add(tellLostSessions({ audit, search, registry, log }))
  const interceptors: Interceptor[] = [...stages.interceptors, advisoryLog(policy, audit, log, nested)]
  const resolver = new PodResolver({ inventories, maySee: sees(policy) })
  const entrance = new Entrance({
    resolver,
    policy,
    audit,
    executor: (name) => clusters.get(name)?.executor,
    interceptors,
    registry,
    pick: (client, listings, pty, signal) => pick(client, listings, pty, signal, { onChange: (changed) => resolver.onChange(changed) }),
    onGone: (target, gone) => resolver.onGone(target, gone),
    transfer: transferServers(policy, audit, log, stages.kept),
    guardedShell: guardedShells(policy, audit, approvals, nested),
    approvals,
    log,
    ...(config.ssh.maxSessionTimeMs !== undefined && { maxSessionMs: config.ssh.maxSessionTimeMs }),
  })
  const reload = config.file === DEMO_FILE ? undefined : scope.add(await RuleReload.start({ config, book, registry, audit, log }))
  const lists = scope.add(await buildSharedLists(config, { book, registry, audit, log }))
  let isDraining = false
  // one throttle for every door
  const login = createLogin({ directory, audit, onAuditFailure: config.audit.onFailure, log, limits: config.login })
  const ssh = await startSsh(config, log, entrance, audit, login)
  scope.add(ssh)
  const metrics = createMetrics({
    sessions: () => registry.size,
    connections: () => ssh.stats().connections,
    draining: () => isDraining,
    clusters: () =>
      [...clusters].map(([name, { inventory }]) => ({ name, pods: inventory.find.size, staleSeconds: staleSeconds(inventory.status().staleSinceMs) })),
  })
  scope.defer(audit.onAppend(metrics.count))
  if (reload) ruleMetrics(metrics.registry, book, () => reload.status())
  const checks = readyChecks(
    clusters,
    () => audit.unavailable(),
    () => isDraining,
    lists.checks,
  )
  const resourceManager = scope.add(await buildResourceManager(config, inventories, policy, log))
  const http = await buildHttp({
    config,
    log,
    scope,
    audit,
    publicKey,
    search,
    book,
    lists,
    login,
    clusters,
    resolver,
    registry,
    entrance,
    approvals,
    stages,
    checks,
    metrics: metrics.registry,
    connections: () => ssh.stats().connections,
    isDraining: () => isDraining,
    doors: [
      (identify) => resourceManager.routes(identify),
      (identify) => keptRoutes({ identify, audit, search: freshSearch(search, audit), open: (path) => stages.kept.open(path) }),
    ],
  })

  return {
    ssh: ssh.address,
    http: http.address,
    drain: async (limitMs) => {
      isDraining = true
      entrance.drain()
      ssh.drain().catch((error: unknown) => log.error({ error }, 'ssh.drain'))
      const seconds = Math.round(limitMs / 1000)
      await registry.drain(
        `this gateway is shutting down; your session may finish within ${seconds} s`,
        limitMs,
        () => new OpsError('DRAINING', 'drain limit reached'),
      )
      await scope.close()
    },
  }
}

/** Waits until each has been read once, or the limit: a gateway must start while a cluster is away. */
async function firstSync(inventories: readonly Inventory[]): Promise<void> {
  const limit = AbortSignal.timeout(FIRST_SYNC_MS)
  await Promise.allSettled(inventories.map((inventory) => inventory.ready(limit)))
}

function sees(policy: Policy): (identity: Identity, target: Target) => boolean {
  return (identity, target) => policy.decide({ kind: 'see', identity, target }).allow
}

async function startSsh(config: Config, log: Logger, entrance: Entrance, audit: AuditSink, login: ReturnType<typeof createLogin>): Promise<SshServer> {
  const { ssh } = config
  const hostKeys = await loadHostKeys(ssh.hostKeys)
  for (const { path, type, fingerprint, created } of hostKeys) log.info({ path, type, fingerprint, created }, 'ssh.hostkey')
  return startSshServer({
    listen: ssh.listen,
    hostKeys,
    login,
    open: (request, client) => entrance.open(request, client),
    refused: (refusal) => void audit.write(refusalEvent(refusal)).catch((error: unknown) => log.error({ error }, 'audit.write')),
    limits: { connections: ssh.maxConnections, connectionsPerAddress: ssh.maxConnectionsPerAddress, attempts: ssh.maxAuthAttempts },
    timeouts: {
      loginMs: ssh.loginGraceTimeMs,
      keepaliveMs: ssh.keepaliveIntervalMs,
      keepaliveCount: ssh.keepaliveCountMax,
      rekeyBytes: ssh.rekeyBytes,
      rekeyMs: ssh.rekeyIntervalMs,
    },
    ...(ssh.banner !== undefined && { banner: ssh.banner }),
    log,
  })
}

function readyChecks(
  clusters: ReadonlyMap<string, Cluster>,
  auditTrouble: () => string | undefined,
  isDraining: () => boolean,
  more: readonly ReadyCheck[],
): ReadyCheck[] {
  const inventories = [...clusters].map(
    ([name, { inventory }]): ReadyCheck => ({
      name: `cluster ${name}`,
      check: (signal) => inventory.ready(signal).then(() => undefined),
    }),
  )
  return [{ name: 'drain', check: () => (isDraining() ? 'draining' : undefined) }, { name: 'audit', check: auditTrouble }, ...inventories, ...more]
}

function staleSeconds(sinceMs: number | undefined): number {
  return sinceMs === undefined ? 0 : (Date.now() - sinceMs) / 1000
}
