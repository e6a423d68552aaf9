import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import Docker from 'dockerode'
import { silentLogger } from '../../src/core/log.js'
import { createDockerInventory } from '../../src/target/docker-inventory.js'
import type { Inventory, PodFacts } from '../../src/target/inventory.js'
import { PodResolver } from '../../src/target/resolver.js'
import { dockerSocketOf, needs } from '../support/need.js'
import { alice } from './pods.js'

const NAME = `t-target-${process.pid}`
const skip = needs.docker('a')

/** Resolves once the pod called `name` is as `wanted` says; undefined means that it is not there. */
async function until(inventory: Inventory, name: string, wanted: (pod: PodFacts | undefined) => boolean): Promise<PodFacts | undefined> {
  for (;;) {
    const [found] = inventory.find.byName(name)
    if (wanted(found)) return found
    await new Promise<void>((resolve) => {
      const stop = inventory.onChange(() => {
        stop()
        resolve()
      })
    })
  }
}

/** A way to dockerd that can be cut. */
async function cuttable(path: string, target: string) {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(target)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    client.pipe(upstream).pipe(client)
  })
  const listen = async () => {
    server.listen(path)
    await once(server, 'listening')
  }
  await listen()
  const cut = async () => {
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { listen, cut }
}

test('docker inventory follows a real container from its start to its removal', { skip, timeout: 180_000 }, async (t) => {
  const docker = new Docker({ socketPath: dockerSocketOf('a') })
  const inventory = createDockerInventory({ cluster: 'dk', docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
  t.after(() => inventory.close())
  inventory.start(new AbortController().signal)
  await inventory.ready(AbortSignal.timeout(20_000))
  assert.ok(![...inventory.pods()].some((pod) => pod.name.startsWith('k8s_')), 'containers of kubelet are hidden')

  const container = await docker.createContainer({
    name: NAME,
    Image: 'busybox:local',
    Cmd: ['sleep', '1000'],
    Labels: { team: 'x' },
    HostConfig: { NetworkMode: 'none' },
  })
  t.after(() => container.remove({ force: true }).catch(() => undefined)) // Gone already when the test went well.
  await container.start()
  const pod = await until(inventory, NAME, (found) => found?.ready === true)
  assert.deepEqual(pod?.containers, [{ name: NAME, kind: 'app', containerId: `docker://${container.id}`, running: true, ready: true, state: 'Running' }])
  assert.deepEqual([pod?.namespace, pod?.uid, pod?.labels.team], ['docker', container.id, 'x'])
  const resolver = new PodResolver({ inventories: [inventory], maySee: () => true })
  const signal = new AbortController().signal
  const { target } = await resolver.resolve(`${NAME}.docker.dk+${NAME}`, alice, signal)
  assert.ok(inventory.isCurrent(target))

  await container.pause()
  await until(inventory, NAME, (found) => found?.containers[0]?.state === 'Paused')
  await assert.rejects(resolver.resolve(NAME, alice, signal), { code: 'TARGET_NOT_RUNNING' })
  await container.unpause()
  await until(inventory, NAME, (found) => found?.ready === true)
  await container.rename({ name: `${NAME}-renamed` })
  await until(inventory, `${NAME}-renamed`, (found) => found !== undefined)
  assert.deepEqual(inventory.find.byName(NAME), [])
  await container.kill()
  await until(inventory, `${NAME}-renamed`, (found) => found?.containers[0]?.state === 'Exited')
  assert.equal(inventory.isCurrent(target), false)
  const gone = new Promise<void>((resolve) => inventory.onGone(container.id, resolve))
  await container.remove()
  await gone
  assert.equal(inventory.find.byUid(container.id), undefined)
})

test('docker inventory shows the containers of kubelet when asked', { skip, timeout: 30_000 }, async (t) => {
  const inventory = createDockerInventory({ cluster: 'dk', docker: `unix://${dockerSocketOf('a')}`, log: silentLogger, includeKubelet: true })
  t.after(() => inventory.close())
  inventory.start(new AbortController().signal)
  await inventory.ready(AbortSignal.timeout(20_000))
  assert.ok([...inventory.pods()].some((pod) => pod.name.startsWith('k8s_')))
})

test('docker inventory comes back after a lost connection and knows what went meanwhile', { skip, timeout: 180_000 }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 't-target-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'docker.sock')
  const proxy = await cuttable(path, dockerSocketOf('a'))
  t.after(() => proxy.cut())
  const docker = new Docker({ socketPath: dockerSocketOf('a') })
  const container = await docker.createContainer({ name: `${NAME}-cut`, Image: 'busybox:local', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } })
  t.after(() => container.remove({ force: true }).catch(() => undefined)) // Gone already when the test went well.
  await container.start()

  let tried: () => void = () => {}
  const lost = new Promise<void>((resolve) => {
    tried = resolve
  })
  let comeBack: () => void = () => {}
  const back = new Promise<void>((resolve) => {
    comeBack = resolve
  })
  const delay = async () => {
    tried()
    await back
  }
  const inventory = createDockerInventory({ cluster: 'dk', docker: `unix://${path}`, log: silentLogger, tuning: { delay } })
  t.after(() => {
    comeBack()
    return inventory.close()
  })
  inventory.start(new AbortController().signal)
  await inventory.ready(AbortSignal.timeout(20_000))
  assert.ok(inventory.find.byUid(container.id))
  await proxy.cut()
  await lost
  assert.ok(inventory.status().staleSinceMs !== undefined)
  const gone = new Promise<void>((resolve) => inventory.onGone(container.id, resolve))
  await container.remove({ force: true })
  assert.ok(inventory.find.byUid(container.id), 'not known yet')
  await proxy.listen()
  comeBack()
  await gone
  assert.equal(inventory.status().staleSinceMs, undefined)
})

test('docker inventory refuses an address that is none', () => {
  for (const docker of ['', '/var/run/docker.sock', 'unix://relative', 'tcp://', 'tcp://host', 'http://host:1']) {
    assert.throws(() => createDockerInventory({ cluster: 'dk', docker, log: silentLogger }), { code: 'CONFIG_INVALID' }, docker)
  }
})

test('docker inventory without a daemon says so and can be closed', async () => {
  const inventory = createDockerInventory({ cluster: 'dk', docker: 'unix:///nonexistent/docker.sock', log: silentLogger })
  inventory.start(new AbortController().signal)
  await assert.rejects(inventory.ready(AbortSignal.timeout(300)), /ENOENT/)
  await inventory.close()
  await inventory.close()
})
