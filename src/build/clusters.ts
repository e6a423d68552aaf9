/** One cluster of a config: the inventory that knows its pods and the executor that starts programs in them. */
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { DockerRuntime } from '../../agent/docker.js'
import { LocalRuntime } from '../../agent/local.js'
import type { ClusterConfig, Config } from '../config/values.js'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { Executor } from '../core/types.js'
import { DirectExecutor } from '../runtime/direct.js'
import { KubeExecutor } from '../runtime/kube.js'
import { createDockerInventory } from '../target/docker-inventory.js'
import type { Inventory } from '../target/inventory.js'
import { createKubeInventory } from '../target/kube-inventory.js'
import { StaticInventory } from '../target/static-inventory.js'

export interface Cluster {
  readonly inventory: Inventory
  readonly executor: Executor
  close(): Promise<void>
}

/** @throws OpsError CONFIG_INVALID for a kubeconfig that cannot be used */
export async function buildCluster(cluster: ClusterConfig, config: Config, log: Logger): Promise<Cluster> {
  const { inventory, executor } = await PARTS[cluster.kind](cluster as never, config, log.child({ cluster: cluster.name }))
  return {
    inventory,
    executor,
    close: async () => {
      await executor.close()
      await inventory.close()
    },
  }
}

type Parts = Pick<Cluster, 'inventory' | 'executor'>
const PARTS: { readonly [K in ClusterConfig['kind']]: (cluster: Extract<ClusterConfig, { kind: K }>, config: Config, log: Logger) => Promise<Parts> } = {
  kubernetes: async (cluster, _config, log) => {
    const inventory = createKubeInventory({ ...cluster, cluster: cluster.name, log })
    const kubeconfig = new KubeConfig()
    kubeconfig.loadFromFile(cluster.kubeconfig)
    if (cluster.context !== undefined) kubeconfig.setCurrentContext(cluster.context)
    const apiserver = new KubeExecutor({ clusterName: cluster.name, kubeconfig, isCurrent: (target) => inventory.isCurrent(target), log })
    if (cluster.via === 'apiserver') return { inventory, executor: apiserver }
    throw new OpsError('CONFIG_INVALID', 'agent: not yet')
  },
  docker: async (cluster, _config, log) => ({
    inventory: createDockerInventory({ cluster: cluster.name, docker: cluster.docker, log }),
    executor: new DirectExecutor(new DockerRuntime({ docker: cluster.docker, log })),
  }),
  local: async (cluster, config, log) => ({
    inventory: new StaticInventory({ cluster: cluster.name, pods: cluster.pods }),
    executor: new DirectExecutor(new LocalRuntime({ dataDir: join(config.dataDir, 'pods'), pods: cluster.pods, log })),
  }),
}
