/** One cluster of a config: the inventory that knows its pods and the executor that starts programs in them. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { DockerRuntime } from '../../agent/docker.js'
import { DockerObserver } from '../../agent/docker-observer.js'
import { LocalRuntime } from '../../agent/local.js'
import { loadPty } from '../../agent/pty.js'
import { startAgent } from '../../agent/server.js'
import { type AgentConfig, agentHost, type ClusterConfig, type Config } from '../config/values.js'
import { toOpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { Executor, Target } from '../core/types.js'
import type { AgentEndpoint, AgentTls } from '../runtime/agent-pool.js'
import { AutoExecutor } from '../runtime/auto.js'
import { DirectExecutor } from '../runtime/direct.js'
import { KubeExecutor } from '../runtime/kube.js'
import { AgentExecutor, type AgentExecutorOptions } from '../runtime/opagent.js'
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
type Of<K extends ClusterConfig['kind']> = Extract<ClusterConfig, { kind: K }>

const PARTS: { readonly [K in ClusterConfig['kind']]: (cluster: Of<K>, config: Config, log: Logger) => Promise<Parts> } = {
  kubernetes: async (cluster, config, log) => {
    const inventory = createKubeInventory({ ...cluster, cluster: cluster.name, log })
    return { inventory, executor: await kubernetesExecutor(cluster, inventory, config, log) }
  },
  docker: async (cluster, _config, log) => ({
    inventory: createDockerInventory({ cluster: cluster.name, docker: cluster.docker, log }),
    executor: new DirectExecutor(new DockerRuntime({ docker: cluster.docker, log }), new DockerObserver(cluster.docker)),
  }),
  local: (cluster, config, log) => localParts(cluster, config, log),
}

async function kubernetesExecutor(cluster: Of<'kubernetes'>, inventory: Inventory, config: Config, log: Logger): Promise<Executor> {
  const common = { clusterName: cluster.name, isCurrent: (target: Target) => inventory.isCurrent(target), log }
  const isKnown = (target: Target): boolean => inventory.find.byUid(target.uid) !== undefined
  const apiserver = (): Executor => new KubeExecutor({ ...common, isKnown, kubeconfig: kubeconfigOf(cluster) })
  if (cluster.via === 'apiserver' || !cluster.agent) return apiserver()
  const agents = new AgentExecutor({ ...common, ...(await agentTls(config)), ...agentAddresses(cluster.agent, inventory) })
  return cluster.via === 'agent' ? agents : new AutoExecutor({ agent: agents, fallback: apiserver(), log })
}

function kubeconfigOf({ kubeconfig: file, context }: Of<'kubernetes'>): KubeConfig {
  const kubeconfig = new KubeConfig()
  kubeconfig.loadFromFile(file)
  if (context !== undefined) kubeconfig.setCurrentContext(context)
  return kubeconfig
}

async function agentTls({ agentAuth }: Config): Promise<{ tls?: AgentTls }> {
  if (!agentAuth) return {}
  const [ca, cert, key] = await Promise.all([readFile(agentAuth.ca), readFile(agentAuth.cert), readFile(agentAuth.key)])
  return { tls: { ca, cert, key } }
}

/** Where the agent of a pod's node listens: as the config says, else at the address that the node gave for itself. */
function agentAddresses(agent: AgentConfig, inventory: Inventory): Pick<AgentExecutorOptions, 'endpoint' | 'agents'> {
  const at = (node: string, hostIp: string | undefined): AgentEndpoint | undefined => {
    const host = agentHost(agent, node) ?? hostIp
    return host === undefined || host === '' ? undefined : { node, address: isIPv6(host) ? `[${host}]:${agent.port}` : `${host}:${agent.port}` }
  }
  return {
    endpoint: (target) => at(target.node, inventory.find.byUid(target.uid)?.hostIp),
    agents: () => {
      const hosts = new Map([...inventory.pods()].filter(({ node }) => node !== '').map(({ node, hostIp }) => [node, hostIp]))
      return [...hosts].flatMap(([node, hostIp]) => at(node, hostIp) ?? [])
    },
  }
}

/** The embedded default: an agent in this process, reached over the same wire as any other, on a socket in a folder that only this user can enter. */
async function localParts(cluster: Of<'local'>, config: Config, log: Logger): Promise<Parts> {
  const inventory = new StaticInventory({ cluster: cluster.name, pods: cluster.pods })
  try {
    loadPty()
  } catch (error) {
    log.warn({ reason: toOpsError(error).message, remedy: 'run "npm rebuild node-pty"; shells are refused, commands without a terminal run' }, 'native.missing')
  }
  const folder = await mkdtemp(join(tmpdir(), 'dockin-agent-'))
  const runtime = new LocalRuntime({ dataDir: join(config.dataDir, 'pods'), pods: localPods(inventory), log })
  const agent = await startAgent({ listen: { path: join(folder, 'agent.sock') }, runtime, log })
  const address = `unix:${join(folder, 'agent.sock')}`
  const executor = new AgentExecutor({ clusterName: cluster.name, endpoint: ({ node }) => ({ node, address }), log })
  const close = async (): Promise<void> => {
    await executor.close()
    await agent.close()
    await runtime.close()
    await rm(folder, { recursive: true, force: true })
  }
  const exec: Executor['exec'] = (target, request, signal) => executor.exec(target, request, signal)
  const files: NonNullable<Executor['files']> = (target, signal) => executor.files(target, signal)
  return { inventory, executor: { name: executor.name, exec, files, close } }
}

function localPods(inventory: StaticInventory): { name: string; uid: string }[] {
  return [...inventory.pods()].map(({ name, uid }) => ({ name, uid }))
}
