import assert from 'node:assert/strict'
import { Readable, Writable } from 'node:stream'
import { test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import { silentLogger } from '../../src/core/log.js'
import type { ContainerRuntime, Executor, RemoteProcess, Target } from '../../src/core/types.js'
import { AutoExecutor } from '../../src/runtime/auto.js'
import { DirectExecutor, splitContainerId } from '../../src/runtime/direct.js'

const TARGET: Target = { cluster: 'a', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'node-a', containerId: 'docker://4711', labels: {} }
const REQUEST = { argv: ['true'], env: {} }
const never = new AbortController().signal

function ended(via: string): RemoteProcess {
  return {
    stdin: new Writable({ write: (_chunk, _encoding, done) => done() }),
    stdout: Readable.from([]),
    exit: Promise.resolve({ kind: 'exited', code: 0 }),
    via,
    resize: () => {},
    kill: () => {},
    close: async () => {},
  }
}

/** An executor that always answers the same. */
function answering(name: string, answer: RemoteProcess | OpsError): Executor & { asked: number; closed: number } {
  const executor = {
    name,
    asked: 0,
    closed: 0,
    exec: async () => {
      executor.asked++
      if (answer instanceof OpsError) throw answer
      return answer
    },
    ready: async () => {
      if (answer instanceof OpsError) throw answer
    },
    close: async () => {
      executor.closed++
    },
  }
  return executor
}

test('auto asks the agent, and the API server only when there is no agent', async () => {
  const agent = answering('agents', ended('agent node-a'))
  const api = answering('apiserver', ended('apiserver v4 spdy'))
  const lines: string[] = []
  const log = { ...silentLogger, warn: (fields: object, event: string) => void lines.push(`${event} ${JSON.stringify(fields)}`) }
  const near = new AutoExecutor({ agent, fallback: api, log })
  assert.equal((await near.exec(TARGET, REQUEST, never)).via, 'agent node-a')
  assert.equal(api.asked, 0)
  assert.deepEqual(lines, [])
  const dead = answering('agents', new OpsError('TARGET_UNREACHABLE', 'Cannot reach agent on node-a: refused'))
  const far = new AutoExecutor({ agent: dead, fallback: api, log })
  assert.equal((await far.exec(TARGET, REQUEST, never)).via, 'apiserver v4 spdy')
  assert.match(lines[0] ?? '', /^executor\.fallback .*"a\/n\/p\/c".*node-a.*refused.*apiserver/)
  await far.ready(never)
  await far.close()
  assert.deepEqual([dead.closed, api.closed], [1, 1])
})

test('auto does not run a command twice', async () => {
  const api = answering('apiserver', ended('apiserver'))
  for (const code of ['COMMAND_NOT_FOUND', 'TARGET_GONE', 'PROTOCOL_ERROR'] as const) {
    const auto = new AutoExecutor({ agent: answering('agents', new OpsError(code, 'x')), fallback: api, log: silentLogger })
    await assert.rejects(auto.exec(TARGET, REQUEST, never), { code })
  }
  const unreachable = new OpsError('TARGET_UNREACHABLE', 'x')
  const auto = new AutoExecutor({ agent: answering('agents', unreachable), fallback: api, log: silentLogger })
  await assert.rejects(auto.exec(TARGET, REQUEST, AbortSignal.abort(new OpsError('CLIENT_GONE', 'x'))), { code: 'TARGET_UNREACHABLE' })
  assert.equal(api.asked, 0)
  const both = new AutoExecutor({ agent: answering('agents', unreachable), fallback: answering('apiserver', unreachable), log: silentLogger })
  await assert.rejects(both.ready(never), { code: 'TARGET_UNREACHABLE' })
})

test('direct hands the id without its scheme to the runtime, and refuses those of others', async () => {
  const ids: string[] = []
  let closed = 0
  const runtime: ContainerRuntime = {
    scheme: 'docker',
    exec: async (id) => {
      ids.push(id)
      return ended('docker')
    },
    containers: async () => [],
    close: async () => {
      closed++
    },
  }
  const direct = new DirectExecutor(runtime)
  await direct.ready(never)
  await direct.exec(TARGET, REQUEST, never)
  assert.deepEqual(ids, ['4711'])
  await assert.rejects(direct.exec({ ...TARGET, containerId: 'containerd://4711' }, REQUEST, never), { code: 'TARGET_UNREACHABLE' })
  await direct.close()
  assert.equal(closed, 1)
  assert.deepEqual(splitContainerId('bare'), ['', 'bare'])
})
