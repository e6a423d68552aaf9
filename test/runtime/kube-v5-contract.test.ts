/** The Executor contract over v5.channel.k8s.io, which the API servers of the test clusters are too old for. */
import { after, before } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { KubeExecutor } from '../../src/runtime/kube.js'
import { KUBE_V4, KUBE_V5 } from '../../src/wire/kube-channel.js'
import { executorContract } from '../contract/executor.js'
import { type FakeWebSocketApi, startFakeWebSocketApi } from './support/fake-websocket-api.js'

let api: FakeWebSocketApi
before(async () => {
  api = await startFakeWebSocketApi([KUBE_V5, KUBE_V4])
})
after(() => api.close())

executorContract({
  name: 'kube executor, WebSocket v5 of a server on this machine',
  make: () => new KubeExecutor({ clusterName: 'fake', kubeconfig: api.kubeconfig, log: silentLogger }),
  target: () => ({ cluster: 'fake', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'here', containerId: 'local://here', labels: {} }),
  via: /^apiserver v5 websocket$/,
})
