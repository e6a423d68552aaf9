/** `/healthz` (the process answers), `/readyz` (it could serve a session now) and `/metrics`. */
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'

/** One thing that must work for sessions to be served. Answers undefined, or why it does not work. */
export interface ReadyCheck {
  readonly name: string
  readonly check: (signal: AbortSignal) => Promise<string | undefined> | string | undefined
  /** Told and no more: sessions can be served nevertheless, and one store that is away must not take every gateway out. */
  readonly isAdvice?: boolean
}

/** A probe asks every few seconds; a check that hangs is a failed one. */
const CHECK_LIMIT_MS = 2000

/** `ready` when every check passes, `degraded` when only advice fails; while draining a load balancer must look elsewhere. */
export function healthRoutes(checks: readonly ReadyCheck[]): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/healthz', () => ({ status: 'ok' }))
    app.get('/readyz', async (_request, reply) => {
      const results = await runChecks(checks)
      const ready = isReady(results)
      reply.code(ready ? 200 : 503)
      return { status: !ready ? 'not ready' : results.every(({ ok }) => ok) ? 'ready' : 'degraded', checks: results }
    })
  }
}

export interface CheckResult {
  readonly name: string
  readonly ok: boolean
  readonly reason?: string
  /** Sessions are served nevertheless. */
  readonly advice?: true
}

export function isReady(results: readonly CheckResult[]): boolean {
  return results.every(({ ok, advice }) => ok || advice)
}

/** Every check at once, each within 2 s. */
export function runChecks(checks: readonly ReadyCheck[]): Promise<CheckResult[]> {
  return Promise.all(checks.map(answer))
}

async function answer({ name, check, isAdvice }: ReadyCheck): Promise<CheckResult> {
  const reason = await explained(check)
  return reason === undefined ? { name, ok: true } : { name, ok: false, reason, ...(isAdvice && { advice: true }) }
}

async function explained(check: ReadyCheck['check']): Promise<string | undefined> {
  const signal = AbortSignal.timeout(CHECK_LIMIT_MS)
  const late = new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve(`no answer in ${CHECK_LIMIT_MS} ms`), { once: true }))
  try {
    return await Promise.race([Promise.resolve(check(signal)), late])
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Prometheus text, made when asked: nothing is counted on a hot path for it. */
export function metricsRoute(registry: Registry): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/metrics', async (_request, reply) => {
      reply.header('content-type', registry.contentType)
      return registry.metrics()
    })
  }
}
