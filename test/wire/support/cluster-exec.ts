/** An exec on the real API server over our SPDY, with the credentials of the test cluster's kubeconfig. */
import type { RequestOptions } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import type { RemoteProcess, WindowSize } from '../../../src/core/types.js'
import { openExecLanes } from '../../../src/wire/exec-lanes-client.js'
import { KUBE_V4 } from '../../../src/wire/kube-channel.js'
import { upgradeClient } from '../../../src/wire/spdy/upgrade-client.js'
import { kubeconfigOf } from '../../support/need.js'

export interface ClusterExec {
  readonly pod?: string
  readonly container?: string
  readonly argv: readonly string[]
  readonly stdin?: boolean
  readonly tty?: WindowSize
  readonly signal?: AbortSignal
}

export async function clusterExec(exec: ClusterExec): Promise<RemoteProcess> {
  const kubeconfig = new KubeConfig()
  kubeconfig.loadFromFile(kubeconfigOf('a'))
  const connection: RequestOptions = {}
  await kubeconfig.applyToHTTPSOptions(connection)
  const server = new URL(kubeconfig.getCurrentCluster()?.server ?? '')
  const tty = exec.tty !== undefined
  const query = new URLSearchParams({ container: exec.container ?? 'web', stdout: 'true' })
  for (const word of exec.argv) query.append('command', word)
  for (const [name, wanted] of Object.entries({ stdin: exec.stdin, stderr: !tty, tty })) if (wanted) query.set(name, 'true')
  const signal = exec.signal ?? new AbortController().signal
  const upgraded = await upgradeClient(
    {
      subject: 'API server of a',
      secure: true,
      connection: { ...connection, host: server.hostname, port: server.port },
      path: `/api/v1/namespaces/shop/pods/${exec.pod ?? 'web-0'}/exec?${query}`,
      protocols: [KUBE_V4],
    },
    signal,
  )
  const lanes = {
    stdin: exec.stdin ?? false,
    stdout: true,
    stderr: !tty,
    tty,
    signals: upgraded.isAgent,
    via: 'apiserver spdy',
    ...(exec.tty ? { size: exec.tty } : {}),
  }
  return openExecLanes(upgraded.connection, lanes, signal)
}
