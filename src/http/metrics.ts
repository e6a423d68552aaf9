/** What Prometheus sees. Gauges read their source when scraped; counters are fed by the audit, which every door passes. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { AuditEvent } from '../core/types.js'

export interface MetricSources {
  readonly sessions: () => number
  readonly connections: () => number
  readonly draining: () => boolean
  readonly clusters: () => readonly { readonly name: string; readonly pods: number; readonly staleSeconds: number }[]
}
export interface Metrics {
  readonly registry: Registry
  /** Called for every audit event that came to rest. */
  readonly count: (event: AuditEvent) => void
}

/** Seconds; sessions live from the blink of an exec to a working day. */
const SESSION_SECONDS = [0.1, 0.5, 1, 5, 30, 120, 600, 3600, 8 * 3600]

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry()
  const registers = [registry]
  // its own default of 10 ms would wake an idle gateway a hundred times a second
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  gauge('dockin_sessions', 'Sessions running now', sources.sessions)
  gauge('dockin_connections', 'SSH connections open now', sources.connections)
  gauge('dockin_draining', '1 while the gateway drains', () => (sources.draining() ? 1 : 0))
  new Gauge({
    name: 'dockin_pods',
    help: 'Pods known in a cluster',
    labelNames: ['cluster'],
    registers,
    collect() {
      for (const { name, pods } of sources.clusters()) this.set({ cluster: name }, pods)
    },
  })
  new Gauge({
    name: 'dockin_inventory_stale_seconds',
    help: 'Time since a cluster last answered',
    labelNames: ['cluster'],
    registers,
    collect() {
      for (const { name, staleSeconds } of sources.clusters()) this.set({ cluster: name }, staleSeconds)
    },
  })
  const events = new Counter({ name: 'dockin_audit_events_total', help: 'Audit events at rest', labelNames: ['type'], registers })
  const bytes = new Counter({ name: 'dockin_session_bytes_total', help: 'Bytes of ended sessions', labelNames: ['direction'], registers })
  const seconds = new Histogram({ name: 'dockin_session_seconds', help: 'Length of ended sessions', labelNames: ['door'], buckets: SESSION_SECONDS, registers })
  return {
    registry,
    count: (event) => {
      events.inc({ type: event.type })
      if (event.type !== 'session.close') return
      bytes.inc({ direction: 'in' }, event.bytesIn)
      bytes.inc({ direction: 'out' }, event.bytesOut)
      seconds.observe({ door: event.door ?? 'unknown' }, event.ms / 1000)
    },
  }
}
