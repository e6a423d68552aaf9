/** The files of a target through the agent: what is said when there is no way, and how it ends. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FileSession } from '../../agent/files/start-files.js'
import { LocalRuntime } from '../../agent/local.js'
import { type RunningAgent, startAgent } from '../../agent/server.js'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { Executor, Target } from '../../src/core/types.js'
import { filesPath } from '../../src/runtime/agent-files.js'
import { AutoExecutor } from '../../src/runtime/auto.js'
import { DirectExecutor } from '../../src/runtime/direct.js'
import { AgentExecutor } from '../../src/runtime/opagent.js'

const never = new AbortController().signal
const TARGET: Target = { cluster: 'a', namespace: 'default', pod: 'p', container: 'shell', uid: 'u-1', node: 'node-a', containerId: 'local://p', labels: {} }

interface World {
  readonly agent: RunningAgent
  readonly executor: AgentExecutor
  readonly sessions: FileSession[]
}
/** A real agent whose one pod is a folder of this machine. */
async function world(t: TestContext, hasFiles = true): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'agent-files-'))
  const runtime = new LocalRuntime({ dataDir: folder, pods: [{ name: 'p', uid: 'u-1' }], log: silentLogger })
  const sessions: FileSession[] = []
  const files = async (id: string, signal: AbortSignal) => {
    const session = await runtime.files(id, signal)
    sessions.push(session)
    return session
  }
  const bound = { scheme: runtime.scheme, exec: runtime.exec.bind(runtime), containers: runtime.containers.bind(runtime), close: runtime.close.bind(runtime) }
  const path = join(folder, 'agent.sock')
  const agent = await startAgent({ listen: { path }, runtime: hasFiles ? { ...bound, files } : bound, log: silentLogger })
  const executor = new AgentExecutor({ clusterName: 'a', endpoint: ({ node }) => ({ node, address: `unix:${path}` }), log: silentLogger })
  t.after(async () => {
    await executor.close()
    await agent.close()
    await runtime.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { agent, executor, sessions }
}
function fake(files?: Executor['files']): Executor {
  return { name: 'fake', exec: () => Promise.reject(new Error('no')), close: async () => {}, ...(files ? { files } : {}) }
}

test('the request names the container as the exec of it does', () => {
  assert.equal(filesPath({ ...TARGET, pod: 'a b' }), '/files/default/a%20b/u-1/shell?containerId=local%3A%2F%2Fp')
})

test('a session counts as a program of the agent, and its child ends with it', async (t) => {
  const { agent, executor, sessions } = await world(t)
  const files = await executor.files(TARGET, never)
  assert.equal(files.via, 'agent node-a')
  assert.equal(agent.execs, 1)
  const [session] = sessions
  assert.ok(session && existsSync(`/proc/${session.pid}`))
  await files.close()
  await session.ended
  for (let tries = 0; agent.execs > 0; tries++) {
    assert.ok(tries < 200, 'the agent still counts it')
    await sleep(10)
  }
})

test('when the agent stops, or the child dies, who waits hears CONNECTION_LOST', async (t) => {
  const { agent, executor, sessions } = await world(t)
  const [one, two] = [await executor.files(TARGET, never), await executor.files(TARGET, never)]
  const killed = sessions[0]
  assert.ok(killed)
  process.kill(killed.pid, 'SIGKILL')
  await killed.ended
  for (let tries = 0; ; tries++) {
    const code = await one.stat(Buffer.from('/')).then(
      () => undefined,
      (error: unknown) => (error as { code: string }).code,
    )
    if (code === 'CONNECTION_LOST') break
    assert.ok(tries < 200, 'the end never came')
    await sleep(10)
  }
  assert.equal((await two.stat(Buffer.from('/'))).kind, 'directory')
  await agent.close()
  await assert.rejects(two.stat(Buffer.from('/')), { code: 'CONNECTION_LOST' })
})

test('a container that is gone, and an agent without files, are said', async (t) => {
  const { executor } = await world(t)
  await assert.rejects(executor.files({ ...TARGET, pod: 'other' }, never), { code: 'TARGET_GONE' })
  await assert.rejects(executor.files({ ...TARGET, uid: 'u-2' }, never), { code: 'TARGET_GONE' })
  const without = await world(t, false)
  await assert.rejects(without.executor.files(TARGET, never), (error) => error instanceof OpsError)
  const stop = new AbortController()
  stop.abort(new OpsError('CLIENT_GONE', 'left'))
  await assert.rejects(executor.files(TARGET, stop.signal), { code: 'CLIENT_GONE' })
})

test('auto falls back to another way to the files, and says when there is none', async (t) => {
  const { executor } = await world(t)
  const files = await executor.files(TARGET, never)
  const away = fake(() => Promise.reject(new OpsError('TARGET_UNREACHABLE', 'no agent')))
  const auto = (agent: Executor, fallback: Executor) => new AutoExecutor({ agent, fallback, log: silentLogger })
  assert.equal(
    await auto(
      away,
      fake(async () => files),
    ).files(TARGET, never),
    files,
  )
  assert.equal(
    await auto(
      fake(),
      fake(async () => files),
    ).files(TARGET, never),
    files,
  )
  await assert.rejects(auto(away, fake()).files(TARGET, never), { code: 'TARGET_UNREACHABLE', message: /no agent; fake leads to no files/ })
  const gone = fake(() => Promise.reject(new OpsError('TARGET_GONE', 'gone')))
  await assert.rejects(
    auto(
      gone,
      fake(async () => files),
    ).files(TARGET, never),
    { code: 'TARGET_GONE' },
  )
})

test('a runtime without files says so', async () => {
  const runtime = { scheme: 'local', exec: () => Promise.reject(new Error('no')), containers: async () => [], close: async () => {} }
  await assert.rejects(new DirectExecutor(runtime).files(TARGET, never), { code: 'TARGET_UNREACHABLE' })
})
