/** The contract of Executors, through a real agent: on docker with mutual TLS, and on this machine over a unix socket. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { DockerRuntime } from '../../agent/docker.js'
import { LocalRuntime } from '../../agent/local.js'
import { type RunningAgent, startAgent } from '../../agent/server.js'
import { makeCertificates } from '../../src/certs.js'
import { silentLogger } from '../../src/core/log.js'
import { Scope } from '../../src/core/scope.js'
import type { ContainerRuntime, Executor, Target } from '../../src/core/types.js'
import { AgentExecutor } from '../../src/runtime/opagent.js'
import { executorContract } from '../contract/executor.js'
import { dockerSocketOf, needs } from '../support/need.js'

const dir = mkdtempSync(join(tmpdir(), 'agent-contract-'))
after(() => rmSync(dir, { recursive: true }))

/** Closes what stands behind an executor with it. */
function withParts(executor: AgentExecutor, scope: Scope): Executor {
  return {
    name: executor.name,
    exec: (target, request, signal) => executor.exec(target, request, signal),
    ready: (signal) => executor.ready(signal),
    close: async () => {
      await executor.close()
      await scope.close()
    },
  }
}

async function targetOf(runtime: ContainerRuntime, pod: string, container: string): Promise<Target> {
  const found = (await runtime.containers(new AbortController().signal)).find((one) => one.pod === pod && one.container === container)
  if (!found) throw new Error(`no container ${pod}/${container}`)
  return { ...found, cluster: 'x', node: 'node-x', containerId: `${runtime.scheme}://${found.id}`, labels: {}, uid: found.uid || 'any' }
}

for (const [cluster, pod, container, starts] of [
  ['a', 'web-0', 'web', 'auto'],
  ['a', 'web-0', 'web', 'docker'],
  ['b', 'tiny-0', 'tiny', 'auto'],
] as const) {
  let runtime: DockerRuntime
  executorContract({
    name: `docker of cluster ${cluster} through an agent, mutual TLS, ${pod}/${container}, starts: ${starts}`,
    skip: needs.docker(cluster) || needs.cluster(cluster),
    via: /^agent node-x$/,
    async make() {
      const scope = new Scope()
      runtime = scope.add(new DockerRuntime({ docker: `unix://${dockerSocketOf(cluster)}`, starts, log: silentLogger }))
      const certs = join(dir, `${cluster}-${starts}`)
      await makeCertificates(certs, { agents: ['node-x'] })
      const read = (name: string) => readFileSync(join(certs, name))
      const auth = { ca: read('ca.crt'), cert: read('node-x.crt'), key: read('node-x.key'), gateways: ['opserver'] }
      const agent = scope.add(await startAgent({ listen: { host: '127.0.0.1', port: 0 }, runtime, auth, log: silentLogger }))
      const tls = { ca: read('ca.crt'), cert: read('opserver.crt'), key: read('opserver.key') }
      return withParts(makeExecutor(agent, tls), scope)
    },
    target: () => targetOf(runtime, pod, container),
  })
}

let local: LocalRuntime
executorContract({
  name: 'this machine through an agent on a unix socket',
  via: /^agent node-x$/,
  async make() {
    const scope = new Scope()
    local = scope.add(new LocalRuntime({ dataDir: join(dir, 'pods'), pods: ['web-0'], log: silentLogger }))
    const agent = scope.add(await startAgent({ listen: { path: join(dir, 'agent.sock') }, runtime: local, log: silentLogger }))
    return withParts(makeExecutor(agent), scope)
  },
  target: () => targetOf(local, 'web-0', 'shell'),
})

function makeExecutor(agent: RunningAgent, tls?: { ca: Buffer; cert: Buffer; key: Buffer }): AgentExecutor {
  const { address } = agent
  const endpoint = { node: 'node-x', address: 'path' in address ? `unix:${address.path}` : `${address.host}:${address.port}` }
  return new AgentExecutor({ clusterName: 'x', endpoint: () => endpoint, agents: () => [endpoint], log: silentLogger, ...(tls ? { tls } : {}) })
}
