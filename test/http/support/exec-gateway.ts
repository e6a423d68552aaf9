/** A gateway in this process for tests of the HTTP doors: real policy, real entrance, guarded shells, and shells of this machine as pods. */
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { LocalRuntime } from '../../../agent/local.js'
import { guardedShells } from '../../../src/build/guard.js'
import { transferServers } from '../../../src/build/transfer.js'
import { OpsError } from '../../../src/core/errors.js'
import { silentLogger } from '../../../src/core/log.js'
import type { AuditEvent, AuditSink, Identity, StoredEvent } from '../../../src/core/types.js'
import { type ExecDoorParts, RunSlots } from '../../../src/http/exec-parts.js'
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../../../src/http/server.js'
import { createPolicy } from '../../../src/policy/policy.js'
import { parseRules } from '../../../src/policy/rules.js'
import { vetLine } from '../../../src/policy/vet.js'
import { DirectExecutor } from '../../../src/runtime/direct.js'
import { Entrance } from '../../../src/session/open.js'
import { SessionRegistry } from '../../../src/session/registry.js'
import { PodResolver } from '../../../src/target/resolver.js'
import { StaticInventory } from '../../../src/target/static-inventory.js'
import { tempDir } from '../../support/temp-dir.js'

export interface ExecGateway {
  readonly url: string
  readonly events: AuditEvent[]
  readonly registry: SessionRegistry
  readonly resolver: PodResolver
  readonly slots: RunSlots
  /** Resolves with the first event that `matches`, whether it has come or is to come. */
  event<T extends AuditEvent['type']>(type: T, matches?: (event: Extract<AuditEvent, { type: T }>) => boolean): Promise<Extract<AuditEvent, { type: T }>>
  post(body: unknown, headers?: Record<string, string>): Promise<Response>
}

const where = [{ cluster: '*', namespace: '*' }]
/** alice may everything, bob has a black list, carol a white list; nobody else may anything. */
export const RULES = [
  { name: 'all', who: { users: ['alice'] }, where },
  { name: 'careful', who: { users: ['bob'] }, where, commands: { deny: ['rm'] }, message: 'ask alice' },
  { name: 'look', who: { users: ['carol'] }, where: [{ cluster: '*', pod: 'web-*' }], commands: { allow: ['ls', 'cat', 'echo'] } },
  { name: 'fetch', who: { users: ['erin'] }, where, files: { upload: false, download: true, maxDownload: '1MiB', paths: { deny: ['*/secret'] } } },
  { name: 'ssh-only', who: { users: ['dave'] }, where, doors: ['shell', 'exec'] },
]

/** Reads the login off the bearer itself: "Bearer alice". */
export async function identifyByName(request: IncomingMessage): Promise<Identity> {
  const user = /^Bearer (\w+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (user === undefined) throw new OpsError('AUTH_FAILED', 'no bearer')
  return { user, groups: [], roles: ['user'], method: 'token', from: { host: '192.0.2.7', port: 1 } }
}

export async function execGateway(
  t: TestContext,
  routes: (parts: ExecDoorParts, gateway: { readonly resolver: PodResolver }) => HttpServerOptions['routes'],
  options: { readonly slots?: RunSlots; readonly heartbeatMs?: number; readonly tls?: HttpServerOptions['tls'] } = {},
): Promise<ExecGateway> {
  const inventory = new StaticInventory({ cluster: 'local', pods: ['web-0', 'web-1', 'db-0'] })
  const pods = [...inventory.pods()].map(({ name, uid }) => ({ name, uid }))
  const executor = new DirectExecutor(new LocalRuntime({ dataDir: join(await tempDir(t), 'pods'), pods, log: silentLogger }))
  const policy = createPolicy(parseRules(RULES), vetLine)
  const resolver = new PodResolver({ inventories: [inventory], maySee: (identity, target) => policy.decide({ kind: 'see', identity, target }).allow })
  const audit = new ListAudit()
  const registry = new SessionRegistry()
  const entrance = new Entrance({
    resolver,
    policy,
    audit,
    executor: () => executor,
    interceptors: [],
    registry,
    pick: async () => undefined,
    onGone: (target, gone) => resolver.onGone(target, gone),
    guardedShell: guardedShells(policy, audit),
    transfer: transferServers(policy, audit, silentLogger),
    log: silentLogger,
  })
  const slots = options.slots ?? new RunSlots()
  const parts: ExecDoorParts = {
    identify: identifyByName,
    open: (request, client) => entrance.open(request, client),
    slots,
    log: silentLogger,
    ...(options.heartbeatMs !== undefined && { heartbeatMs: options.heartbeatMs }),
  }
  const server: HttpServer = await startHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    routes: routes(parts, { resolver }),
    log: silentLogger,
    ...(options.tls && { tls: options.tls }),
  })
  t.after(async () => {
    registry.endWhere(() => new OpsError('DRAINING', 'the test is over'))
    await executor.close()
    await server.close()
  })
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${server.address.port}`
  return {
    url,
    events: audit.events,
    registry,
    resolver,
    slots,
    event: (type, matches) => audit.find(type, matches),
    post: (body, headers = {}) =>
      fetch(`${url}/api/v1/exec`, {
        method: 'POST',
        headers: { authorization: 'Bearer alice', 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  }
}

class ListAudit implements AuditSink {
  readonly events: AuditEvent[] = []
  readonly #waiting = new Set<(event: AuditEvent) => void>()

  async write(event: AuditEvent): Promise<StoredEvent> {
    this.events.push(event)
    for (const wake of this.#waiting) wake(event)
    return { ...event, seq: this.events.length, time: '', prev: '', hash: '' }
  }
  unavailable(): undefined {
    return undefined
  }
  async close(): Promise<void> {}

  find<T extends AuditEvent['type']>(
    type: T,
    matches: (event: Extract<AuditEvent, { type: T }>) => boolean = () => true,
  ): Promise<Extract<AuditEvent, { type: T }>> {
    const passes = (event: AuditEvent): event is Extract<AuditEvent, { type: T }> => event.type === type && matches(event as Extract<AuditEvent, { type: T }>)
    const found = this.events.find(passes)
    if (found) return Promise.resolve(found)
    return new Promise((resolve) => {
      const wake = (event: AuditEvent): void => {
        if (!passes(event)) return
        this.#waiting.delete(wake)
        resolve(event)
      }
      this.#waiting.add(wake)
    })
  }
}
