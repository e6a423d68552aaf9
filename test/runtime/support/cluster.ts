/** Targets of the test clusters, as the inventory would make them. */
import { execFileSync } from 'node:child_process'
import { KubeConfig } from '@kubernetes/client-node'
import type { Target } from '../../../src/core/types.js'
import { kubeconfigOf } from '../../support/need.js'

export function kubeConfig(cluster: 'a' | 'b'): KubeConfig {
  const kubeconfig = new KubeConfig()
  kubeconfig.loadFromFile(kubeconfigOf(cluster))
  return kubeconfig
}

interface Pod {
  readonly metadata: { readonly uid: string; readonly labels?: Record<string, string> }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly containerStatuses: readonly { readonly name: string; readonly containerID: string }[] }
}

export function targetOf(cluster: 'a' | 'b', namespace: string, pod: string, container: string): Target {
  const json = execFileSync('kubectl', ['--kubeconfig', kubeconfigOf(cluster), '-n', namespace, 'get', 'pod', pod, '-o', 'json'], { encoding: 'utf8' })
  const { metadata, spec, status } = JSON.parse(json) as Pod
  const containerId = status.containerStatuses.find(({ name }) => name === container)?.containerID ?? ''
  return { cluster, namespace, pod, container, uid: metadata.uid, node: spec.nodeName, containerId, labels: metadata.labels ?? {} }
}
