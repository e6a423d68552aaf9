/** What one may enter. */
import { Link } from 'wouter-preact'
import type { ClusterItem, TargetItem } from '../../wire/api/targets.js'
import { Copy } from '../parts/copy.js'
import { ChoiceFilter, TextFilter } from '../parts/fields.js'
import { Icon } from '../parts/icon.js'
import { Answered, Empty } from '../parts/messages.js'
import { More } from '../parts/more.js'
import { PageHead } from '../parts/page.js'
import { Badge, Peer, Time } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { given, useFilters } from '../state/filters.js'
import { moveInRows, useKeys } from '../state/keys.js'
import { useLoad, usePages } from '../state/load.js'

const REFRESH_MS = 10_000

export function TargetsPage() {
  const { api, me } = useConsole()
  const filters = useFilters(['text', 'cluster', 'namespace'])
  const { values, set } = filters
  const clusters = useLoad('clusters', (signal) => api.listClusters({ signal }), REFRESH_MS)
  const pages = usePages(filters.key, (cursor, signal) => api.listTargets({ query: given({ ...values, cursor }), signal }), REFRESH_MS)
  useKeys({ j: () => moveInRows(1), k: () => moveInRows(-1) })
  const user = me.value.kind === 'known' ? me.value.user : ''
  const names = Object.fromEntries((clusters.data?.items ?? []).map(({ name }) => [name, name]))
  return (
    <>
      <PageHead title="Targets" lead="Containers that your rules let you see." />
      <div class="row wrap clusters">
        {clusters.data?.items.map((cluster) => (
          <ClusterState key={cluster.name} cluster={cluster} />
        ))}
      </div>
      <search class="filters">
        <TextFilter isSearch label="Search pods, nodes, labels" value={values.text} onChange={(text) => set({ text }, { replace: true })} />
        <ChoiceFilter label="Cluster" value={values.cluster} options={names} onChange={(cluster) => set({ cluster })} />
        <TextFilter label="Namespace" value={values.namespace} onChange={(namespace) => set({ namespace }, { replace: true })} />
      </search>
      <section class="panel targets" aria-label="Targets">
        <Answered answer={pages}>
          {(items) => {
            if (items.length === 0) return <NoTargets isFiltered={!filters.isEmpty} clear={filters.clear} />
            return (
              <>
                <ul class="rows">
                  {items.map((item) => (
                    <li key={item.name + item.target.uid}>
                      <Row item={item} user={user} />
                    </li>
                  ))}
                </ul>
                {pages.hasMore && <More pages={pages} />}
              </>
            )
          }}
        </Answered>
      </section>
    </>
  )
}

export function ClusterState({ cluster }: { readonly cluster: ClusterItem }) {
  const { name, via, pods, synced, staleSince } = cluster
  return (
    <span class="note cluster">
      <strong>{name}</strong>
      <span class="quiet">
        {via}, {pods} pods
      </span>
      {staleSince !== undefined ? (
        <Badge tone="bad">
          silent since <Time at={staleSince} />
        </Badge>
      ) : (
        <Badge tone={synced ? 'good' : 'warn'}>{synced ? 'in step' : 'being read'}</Badge>
      )}
    </span>
  )
}

function Row({ item, user }: { readonly item: TargetItem; readonly user: string }) {
  const { target, address, state, ready, rule } = item
  return (
    <div class="line">
      <span class="cut">
        <strong>
          <Peer text={target.pod} />
        </strong>{' '}
        <span class="quiet">
          {target.cluster}/{target.namespace} · {target.container}
        </span>
      </span>
      <span>
        <Badge tone={ready ? 'good' : 'warn'}>{state}</Badge>
      </span>
      <span class="quiet cut c-node">
        <Peer text={target.node} />
      </span>
      <span class="quiet cut c-rule">{rule !== undefined && <Peer text={rule} />}</span>
      <span class="row end">
        <Copy text={`ssh ${user}+${address}@${location.hostname}`} label={`Copy the ssh line for ${target.pod}`} />
        <Link class="button" href={`/terminal?target=${encodeURIComponent(address)}`} aria-label={`Terminal in ${target.pod}`}>
          <Icon name="terminal" /> Terminal
        </Link>
      </span>
    </div>
  )
}

function NoTargets({ isFiltered, clear }: { readonly isFiltered: boolean; readonly clear: () => void }) {
  if (!isFiltered) {
    return (
      <Empty icon="targets" title="No targets">
        <p>No rule lets you see a container. Whoever keeps the rules of this gateway can change that.</p>
      </Empty>
    )
  }
  return (
    <Empty icon="search" title="No target matches">
      <button type="button" class="button" onClick={clear}>
        Clear filters
      </button>
    </Empty>
  )
}
