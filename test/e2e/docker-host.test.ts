/** A cluster that is one docker host: its containers are pods, through docker itself. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { dockerSocketOf, needs } from '../support/need.js'
import { until, World } from '../support/world.js'

const docker = (...args: string[]): string =>
  execFileSync('docker', ['-H', `unix://${dockerSocketOf('a')}`, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })

test('a container of a docker host is entered by its name, and kubelet’s containers are not shown', {
  skip: needs.docker('a') || needs.program('ssh'),
}, async () => {
  const name = `t-plain-${process.pid}`
  const world = new World()
  docker('run', '-d', '--name', name, '--network', 'none', '--hostname', 'plain', 'busybox:local', 'sleep', '100000')
  try {
    await world.start({ clusters: [], via: 'apiserver', config: { clusters: [{ name: 'dk', docker: `unix://${dockerSocketOf('a')}` }] } })
    const ran = await world.ssh(`alice+${name}`, 'hostname; cat; exit 5', 'through docker\n')
    assert.deepEqual([ran.stdout.toString(), ran.code], ['plain\nthrough docker\n', 5], ran.stderr)
    const hidden = await world.ssh('alice+web-0', 'true')
    assert.equal(hidden.code, 255)
    assert.match(hidden.stderr, /no such target/)
    docker('rm', '-f', name)
    await until('the container to be unknown', async () => /no such target|not running/.test((await world.ssh(`alice+${name}`, 'true')).stderr))
  } finally {
    await world.stop()
    try {
      docker('rm', '-f', name)
    } catch {
      // it was removed by the test
    }
  }
})
