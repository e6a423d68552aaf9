/** How the gateway is. */
import type { Health } from '../../wire/api/health.js'
import { Copy } from '../parts/copy.js'
import { Answered } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { Badge, Time } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'
import { ClusterState } from './targets.js'

const REFRESH_MS = 5000

export function HealthPage() {
  const { api } = useConsole()
  const health = useLoad('health', (signal) => api.health({ signal }), REFRESH_MS)
  return (
    <>
      <PageHead title="Health" lead="Of this gateway, its clusters and its audit log." />
      <Answered answer={health}>{(data) => <Parts health={data} />}</Answered>
    </>
  )
}

function Parts({ health }: { readonly health: Health }) {
  const { version, startedAt, ready, draining, sessions, connections, checks, clusters, audit } = health
  return (
    <div class="stack">
      <section class="panel" aria-label="Gateway">
        <header>
          <h2>Gateway</h2>
          <Badge tone={ready ? 'good' : draining ? 'warn' : 'bad'}>{draining ? 'shutting down' : ready ? 'ready' : 'not ready'}</Badge>
        </header>
        <dl class="facts body">
          <dt>Version</dt>
          <dd>{version}</dd>
          <dt>Since</dt>
          <dd>
            <Time at={startedAt} />
          </dd>
          <dt>Sessions</dt>
          <dd>{sessions}</dd>
          <dt>Connections</dt>
          <dd>{connections}</dd>
          {checks.map(({ name, ok, reason }) => (
            <>
              <dt>{name}</dt>
              <dd>
                <Badge tone={ok ? 'good' : 'bad'}>{ok ? 'ok' : 'failing'}</Badge> {reason}
              </dd>
            </>
          ))}
        </dl>
      </section>
      <section class="panel" aria-label="Clusters">
        <header>
          <h2>Clusters</h2>
        </header>
        <div class="body row wrap">
          {clusters.map((cluster) => (
            <ClusterState key={cluster.name} cluster={cluster} />
          ))}
        </div>
      </section>
      <section class="panel" aria-label="Audit log">
        <header>
          <h2>Audit log</h2>
          {audit.spooling ? <Badge tone="warn">spooling</Badge> : <Badge tone="good">kept</Badge>}
        </header>
        <dl class="facts body">
          <dt>Events</dt>
          <dd>{audit.seq}</dd>
          <dt>Head</dt>
          <dd>
            <code>{audit.hash}</code>
          </dd>
          <dt>Waiting</dt>
          <dd>{audit.pending}</dd>
          {audit.stores.map(({ name, state, held, reason }) => (
            <>
              <dt>Store {name}</dt>
              <dd>
                {state}, holds up to {held} {reason}
              </dd>
            </>
          ))}
          <dt>Public key</dt>
          <dd>
            <div class="row">
              <pre class="json grow">{audit.publicKey.trim()}</pre>
              <Copy text={audit.publicKey} label="Copy the public key" />
            </div>
            <p class="quiet small">Keep a copy elsewhere: with it anybody can verify the log, its recordings and each evidence pack.</p>
          </dd>
        </dl>
      </section>
    </div>
  )
}
