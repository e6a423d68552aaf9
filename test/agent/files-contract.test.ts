/** The files of this process, through SFTP, through the demo's runtime, and of real containers on every way through the agent. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { DockerRuntime } from '../../agent/docker.js'
import { NodeFiles } from '../../agent/files/node-files.js'
import { LocalRuntime } from '../../agent/local.js'
import { startAgent } from '../../agent/server.js'
import { silentLogger } from '../../src/core/log.js'
import type { Target } from '../../src/core/types.js'
import { DirectExecutor } from '../../src/runtime/direct.js'
import { AgentExecutor } from '../../src/runtime/opagent.js'
import { SftpClient } from '../../src/wire/sftp/client.js'
import { serveSftp } from '../../src/wire/sftp/server.js'
import { fileAccessContract } from '../contract/file-access.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { throwaway } from '../support/throwaway-container.js'
import { socketPair } from '../wire/support/socket-pair.js'

const never = new AbortController().signal
const root = mkdtempSync(join(tmpdir(), 'files-'))
after(() => rmSync(root, { recursive: true, force: true }))
const folder = () => mkdtempSync(join(root, 'f-'))
const nodeFiles = () => new NodeFiles({ via: 'here', home: Buffer.from(root) })

fileAccessContract({ name: 'files of this process', open: async () => nodeFiles(), folder })

fileAccessContract({
  name: 'files of this process through SFTP',
  folder,
  open: async () => {
    const { client: mine, server: theirs } = await socketPair()
    const files = nodeFiles()
    serveSftp({ readable: theirs, writable: theirs }, files, {}, never).catch(() => {})
    return SftpClient.connect({ readable: mine, writable: mine }, { via: 'sftp' }, never)
  },
})

const local: Target = { cluster: 'demo', namespace: 'default', pod: 'p', container: 'shell', uid: '', node: 'here', containerId: 'local://p', labels: {} }
const runtime = new LocalRuntime({ dataDir: join(root, 'pods'), pods: ['p'], log: silentLogger })
after(() => runtime.close())
fileAccessContract({ name: 'files of a local pod', folder, via: /^local direct$/, open: () => new DirectExecutor(runtime).files(local, never) })

for (const image of ['debian:local', 'busybox:local'] as const) {
  const skip = needs.docker('a')
  const made = skip ? undefined : throwaway(image)
  const ours = skip ? undefined : new DockerRuntime({ docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
  const target: Target = { cluster: 'a', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'node-a', containerId: `docker://${made?.id}`, labels: {} }
  const scratch = () => made?.exec('mktemp', '-d', '/tmp/XXXXXX') ?? ''
  after(async () => {
    await ours?.close()
    made?.remove()
  })
  if (ours)
    fileAccessContract({ name: `files of a ${image} container on this machine`, folder: scratch, open: () => new DirectExecutor(ours).files(target, never) })
  if (!ours || image !== 'debian:local') continue

  // the agent's server and wire as they are; only which container stands for the pod is told by the test
  const container = { id: made?.id ?? '', namespace: 'n', pod: 'p', uid: 'u', container: 'c' }
  const path = join(root, 'agent.sock')
  const bound = { scheme: 'docker', exec: ours.exec.bind(ours), files: ours.files.bind(ours), containers: async () => [container], close: async () => {} }
  const agent = await startAgent({ listen: { path }, runtime: bound, log: silentLogger })
  const executor = new AgentExecutor({ clusterName: 'a', endpoint: () => ({ node: 'node-a', address: `unix:${path}` }), log: silentLogger })
  after(async () => {
    await executor.close()
    await agent.close()
  })
  fileAccessContract({ name: 'files of a container through the agent', folder: scratch, via: /^agent node-a$/, open: () => executor.files(target, never) })
}
