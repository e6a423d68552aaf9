/** Files over exec: the contract through a real API server, on Debian with dash and on busybox. */
import { execFileSync } from 'node:child_process'
import { after } from 'node:test'
import { silentLogger } from '../../src/core/log.js'
import { KubeExecutor } from '../../src/runtime/kube.js'
import { fileAccessContract } from '../contract/file-access.js'
import { kubeconfigOf, needs } from '../support/need.js'
import { kubeConfig, targetOf } from './support/cluster.js'

const never = new AbortController().signal
const WHERES = [
  { cluster: 'a', target: ['shop', 'web-0', 'web'], timesWithin: 0.001 },
  { cluster: 'a', target: ['default', 'tiny-0', 'tiny'], timesWithin: 1 },
] as const

for (const { cluster, target, timesWithin } of WHERES) {
  const skip = needs.cluster(cluster)
  if (skip) continue
  const [namespace, pod, container] = target
  const executor = new KubeExecutor({ clusterName: cluster, kubeconfig: kubeConfig(cluster), log: silentLogger })
  const inside = (...argv: string[]) =>
    execFileSync('kubectl', ['--kubeconfig', kubeconfigOf(cluster), '-n', namespace, 'exec', pod, '-c', container, '--', ...argv], { encoding: 'utf8' }).trim()
  let folder = ''
  after(async () => {
    if (folder) inside('rm', '-rf', folder)
    await executor.close()
  })
  fileAccessContract({
    name: `files over exec, cluster ${cluster}, ${target.join('/')}`,
    open: () => executor.files(targetOf(cluster, namespace, pod, container), never),
    folder: () => {
      folder = inside('mktemp', '-d', '/tmp/XXXXXX')
      return folder
    },
    via: /^apiserver v4 spdy sh$/,
    timesWithin,
    longListing: 600,
  })
}
