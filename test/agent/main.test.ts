import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { DockerRuntime } from '../../agent/docker.js'
import { silentLogger } from '../../src/core/log.js'
import type { Target } from '../../src/core/types.js'
import { AgentExecutor } from '../../src/runtime/opagent.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { markMaker, processes, untilGone, untilShown } from './support/lanes.js'

const nextMark = markMaker(900)
const dir = mkdtempSync(join(tmpdir(), 'agent-main-'))
after(() => rmSync(dir, { recursive: true }))
const never = new AbortController().signal

function opagent(config: string) {
  const file = join(dir, 'opagent.yaml')
  writeFileSync(file, config)
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, '../../agent/main.ts'), '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let logs = ''
  const drains = new Promise<void>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      logs += chunk.toString()
      if (logs.includes('agent.drain')) resolve()
    })
  })
  const ended = once(child, 'close')
  return { child, drains, logs: ended.then(() => logs), exit: ended.then(([code]) => code as number | null) }
}
async function ready(child: ReturnType<typeof opagent>['child']): Promise<string> {
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /^opagent ready http=(127\.0\.0\.1:\d+)$/.exec(line)
    if (match?.[1]) return match[1]
  }
  throw new Error('no ready line')
}
async function target(): Promise<Target> {
  const runtime = new DockerRuntime({ docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
  const found = await runtime.find((one) => one.pod === 'web-0' && one.container === 'web', never)
  await runtime.close()
  assert.ok(found)
  return { ...found, cluster: 'a', node: 'node-a', containerId: `docker://${found.id}`, labels: {} }
}

test('a configuration with mistakes is told on stderr, and nothing starts', async () => {
  const { logs, exit } = opagent('listen: 0.0.0.0:0\nshell: yes\n')
  assert.equal(await exit, 1)
  assert.match(await logs, /^opagent: the configuration has mistakes\n.*opagent\.yaml:2: shell: is not a key/)
})

test('SIGTERM lets what runs finish, and a second one does not', { skip: needs.docker('a') || needs.cluster('a'), timeout: 60_000 }, async () => {
  const where = await target()
  for (const isSecond of [false, true]) {
    const { child, drains, logs, exit } = opagent(`listen: 127.0.0.1:0\nnode: node-a\ndocker: unix://${dockerSocketOf('a')}\n`)
    const address = await ready(child)
    const executor = new AgentExecutor({ clusterName: 'a', endpoint: () => ({ node: 'node-a', address }), spares: 0, log: silentLogger })
    try {
      const mark = nextMark()
      const process = await executor.exec(where, { argv: ['sh', '-c', `echo up; read line; echo "$line"; exit 4`, mark], env: {} }, never)
      process.exit.catch(() => {})
      await untilShown(process.stdout, 'up')
      child.kill('SIGTERM')
      await drains
      await assert.rejects(executor.exec(where, { argv: ['true'], env: {} }, never), { code: 'DRAINING' })
      if (isSecond) child.kill('SIGTERM')
      else process.stdin.end('bye\n')
      const status = await process.exit.catch((error: { code: string }) => error.code)
      if (isSecond) assert.equal(status, 'DRAINING')
      else assert.deepEqual([status, await text(process.stdout)], [{ kind: 'exited', code: 4 }, 'bye\n'])
      assert.equal(await exit, 0)
      await untilGone(mark)
      assert.deepEqual(processes(mark), [])
      assert.match(await logs, /"exec\.start"/)
    } finally {
      await executor.close()
      child.kill('SIGKILL')
    }
  }
})
