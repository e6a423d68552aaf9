/** What the Executor through the API server does beside the contract. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { KubeConfig } from '@kubernetes/client-node'
import { silentLogger } from '../../src/core/log.js'
import type { Target } from '../../src/core/types.js'
import { KubeExecutor, type KubeExecutorOptions } from '../../src/runtime/kube.js'
import { KUBE_V4, KUBE_V5 } from '../../src/wire/kube-channel.js'
import { kubeconfigOf, needs } from '../support/need.js'
import { kubeConfig, targetOf } from './support/cluster.js'
import { startFakeWebSocketApi } from './support/fake-websocket-api.js'

const PTY = { term: 'xterm', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes: {} }
const HERE: Target = { cluster: 'fake', namespace: 'n', pod: 'p', container: 'c', uid: 'u', node: 'here', containerId: 'local://here', labels: {} }
const never = new AbortController().signal

function executor(t: TestContext, kubeconfig: KubeConfig, more: Partial<KubeExecutorOptions> = {}): KubeExecutor {
  const made = new KubeExecutor({ clusterName: 'a', kubeconfig, log: silentLogger, ...more })
  t.after(() => made.close())
  return made
}

test('a terminal goes over v4 WebSocket where v5 is not spoken, everything else over SPDY', { skip: needs.cluster('a') }, async (t) => {
  const made = executor(t, kubeConfig('a'))
  const target = targetOf('a', 'shop', 'web-0', 'web')
  for (const round of ['first', 'second']) {
    const shell = await made.exec(target, { argv: ['true'], env: {}, pty: PTY }, never)
    assert.equal(shell.via, 'apiserver v4 websocket', round)
    const plain = await made.exec(target, { argv: ['true'], env: {} }, never)
    assert.equal(plain.via, 'apiserver v4 spdy', round)
    await Promise.all([shell.close(), plain.close()])
  }
})

test('a server that speaks neither v5 nor SPDY refuses, and only a terminal gets v4', async (t) => {
  const api = await startFakeWebSocketApi([KUBE_V4])
  t.after(api.close)
  const made = executor(t, api.kubeconfig)
  await assert.rejects(made.exec(HERE, { argv: ['true'], env: {} }, never), { code: 'TARGET_UNREACHABLE' })
  const shell = await made.exec(HERE, { argv: ['true'], env: {}, pty: PTY }, never)
  assert.equal(shell.via, 'apiserver v4 websocket')
  await shell.close()
})

test('a WebSocket that breaks rejects exit after what had arrived', async (t) => {
  const api = await startFakeWebSocketApi([KUBE_V5])
  t.after(api.close)
  const made = executor(t, api.kubeconfig)
  const program = await made.exec(HERE, { argv: ['sh', '-c', 'echo $$; exec sleep 1000'], env: {} }, never)
  await once(program.stdout, 'readable')
  const closed = api.close()
  await assert.rejects(program.exit, { code: 'PROTOCOL_ERROR', message: /before the exit status/ })
  let seen = ''
  const failure = await (async () => {
    for await (const chunk of program.stdout) seen += String(chunk)
  })().catch((error: unknown) => error)
  assert.match(seen, /^\d+\n$/)
  assert.ok(failure instanceof Error)
  await closed
  process.kill(Number(seen)) // no sweep can reach it any more
})

test('an API server that is not there, a pod that is gone and a strange variable are refused', async (t) => {
  const nowhere = new KubeConfig()
  nowhere.loadFromClusterAndUser({ name: 'x', server: 'https://127.0.0.1:1', skipTLSVerify: true }, { name: 'x' })
  const request = { argv: ['true'], env: {} }
  const made = executor(t, nowhere)
  await assert.rejects(made.exec(HERE, request, never), { code: 'TARGET_UNREACHABLE', message: /API server of a.*ECONNREFUSED/ })
  await assert.rejects(made.ready(never), { code: 'TARGET_UNREACHABLE' })
  await assert.rejects(executor(t, nowhere, { isCurrent: () => false }).exec(HERE, request, never), { code: 'TARGET_GONE' })
  await assert.rejects(made.exec(HERE, { argv: ['true'], env: { 'A;id': 'x' } }, never), { code: 'BAD_REQUEST' })
  assert.throws(() => new KubeExecutor({ clusterName: 'x', kubeconfig: new KubeConfig(), log: silentLogger }), { code: 'CONFIG_INVALID' })
})

test('a pod and a container that do not exist are told apart', { skip: needs.cluster('a') }, async (t) => {
  const made = executor(t, kubeConfig('a'))
  const target = targetOf('a', 'shop', 'web-0', 'web')
  for (const pty of [undefined, PTY]) {
    const request = pty ? { argv: ['true'], env: {}, pty } : { argv: ['true'], env: {} }
    await assert.rejects(made.exec({ ...target, pod: 'nobody' }, request, never), { code: 'TARGET_GONE' })
    await assert.rejects(made.exec({ ...target, container: 'nobody' }, request, never), { code: 'TARGET_UNKNOWN' })
  }
})

test('credentials without the right are refused with the reason in the log’s message only', { skip: needs.cluster('a') }, async (t) => {
  const stranger = kubeConfig('a')
  stranger.loadFromClusterAndUser(stranger.clusters[0] ?? assert.fail(), { name: 'stranger', token: 'not-a-token' })
  const error = await executor(t, stranger)
    .exec({ ...HERE, namespace: 'shop', pod: 'web-0', container: 'web' }, { argv: ['true'], env: {} }, never)
    .catch((thrown: unknown) => thrown)
  assert.ok(error instanceof Error && 'code' in error && error.code === 'TARGET_UNREACHABLE')
  assert.match(error.message, /HTTP 401/)
})

test('an image without a shell runs programs as they are', { skip: needs.cluster('a') }, async (t) => {
  const pod = `shellless-${process.pid}`
  const kubectl = (...args: string[]) => execFileSync('kubectl', ['--kubeconfig', kubeconfigOf('a'), ...args], { stdio: 'pipe' })
  const spec = { spec: { nodeName: 'node-a', terminationGracePeriodSeconds: 0 } }
  kubectl('run', pod, '--image=pause:local', '--image-pull-policy=Never', '--restart=Never', `--overrides=${JSON.stringify(spec)}`)
  const remove = () => kubectl('delete', 'pod', pod, '--force', '--grace-period=0', '--ignore-not-found')
  t.after(remove)
  kubectl('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s')
  const target = targetOf('a', 'default', pod, pod)
  const made = executor(t, kubeConfig('a'))
  await assert.rejects(made.exec(target, { argv: ['/no/such'], env: {} }, never), { code: 'COMMAND_NOT_FOUND' })
  await assert.rejects(made.exec(target, { argv: ['/pause'], env: {}, cwd: '/etc' }, never), { code: 'BAD_REQUEST' })
  const program = await made.exec(target, { argv: ['/pause'], env: {} }, never)
  let isOver = false
  const over = program.exit.then(
    () => {
      isOver = true
    },
    () => {
      isOver = true
    },
  )
  assert.equal(isOver, false)
  const output = text(program.stdout).catch(() => '')
  remove()
  await over
  assert.equal(await output, '')
  await program.close()
})
