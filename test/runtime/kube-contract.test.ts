/** The Executor contract through real API servers: each transport, Debian and busybox. */
import { silentLogger } from '../../src/core/log.js'
import { KubeExecutor } from '../../src/runtime/kube.js'
import type { KubeTransportName } from '../../src/runtime/kube-transport.js'
import { executorContract } from '../contract/executor.js'
import { needs } from '../support/need.js'
import { kubeConfig, targetOf } from './support/cluster.js'

interface Where {
  readonly cluster: 'a' | 'b'
  readonly target: [namespace: string, pod: string, container: string]
  readonly transports: readonly KubeTransportName[]
  readonly via: RegExp
}

const wheres: readonly Where[] = [
  { cluster: 'a', target: ['shop', 'web-0', 'web'], transports: ['spdy'], via: /^apiserver v4 spdy$/ },
  { cluster: 'a', target: ['shop', 'web-0', 'sidecar'], transports: ['websocket', 'spdy'], via: /^apiserver v4 spdy$/ },
  { cluster: 'b', target: ['bank', 'core-0', 'web'], transports: ['websocket', 'spdy'], via: /^apiserver v4 spdy$/ },
]
for (const { cluster, target, transports, via } of wheres) {
  executorContract({
    name: `kube executor, cluster ${cluster}, ${target.join('/')}, ${transports.join(' and ')}`,
    skip: needs.cluster(cluster),
    make: () => new KubeExecutor({ clusterName: cluster, kubeconfig: kubeConfig(cluster), log: silentLogger, transports }),
    target: () => targetOf(cluster, ...target),
    via,
    // kubelet 1.20 closes with input unread, which resets the connection to the API server; kubectl then exits with 0
    isResetByInput: true,
  })
}
