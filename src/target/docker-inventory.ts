/** The containers of one docker host as pods: namespace "docker", and pod and container bear the container's name. */
import Docker from 'dockerode'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import { DockerSource } from './docker-source.js'
import type { Inventory } from './inventory.js'
import { PodIndex } from './pod-index.js'
import { ReflectedInventory } from './reflected-inventory.js'
import { Reflector, type ReflectorOptions } from './reflector.js'

export interface DockerInventoryOptions {
  /** Name in the config; part of every target. */
  readonly cluster: string
  /** "unix:///var/run/docker.sock" or "tcp://host:port". */
  readonly docker: string
  readonly log: Logger
  /** Also shows the containers that kubelet made. Default false: they are pods of a Kubernetes cluster, and its rules must not be gone round. */
  readonly includeKubelet?: boolean
  /** For tests. */
  readonly tuning?: Pick<ReflectorOptions, 'backoff' | 'maxPods' | 'now' | 'random' | 'delay'> & { readonly idleTimeoutMs?: number }
}

/** Makes the inventory; nothing is read before `start`. @throws OpsError CONFIG_INVALID for an address that is neither unix:// nor tcp:// */
export function createDockerInventory(options: DockerInventoryOptions): Inventory {
  const { cluster, log, tuning = {} } = options
  const docker = new Docker(dockerAddress(options.docker))
  const index = new PodIndex()
  const source = new DockerSource({ docker, cluster, includeKubelet: options.includeKubelet ?? false, ...tuning })
  const sink = {
    set: index.set.bind(index),
    deleteUid: index.deleteUid.bind(index),
    keepOnly: (uids: ReadonlySet<string>) => {
      for (const pod of [...index.all()]) if (!uids.has(pod.uid)) index.deleteUid(pod.uid)
    },
  }
  return new ReflectedInventory({ cluster, index, reflectors: [new Reflector({ ...tuning, source, log, sink })] })
}

function dockerAddress(address: string): Docker.DockerOptions {
  if (address.startsWith('unix:///')) return { socketPath: address.slice('unix://'.length) }
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol === 'tcp:' && url.hostname !== '' && url.port !== '') return { protocol: 'http', host: url.hostname, port: Number(url.port) }
  throw new OpsError('CONFIG_INVALID', `docker address "${address}": write unix:///PATH or tcp://HOST:PORT`)
}
