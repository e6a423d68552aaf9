/** `via: auto`: the agent where it answers, else the API server, and the audit says which. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { needs } from '../support/need.js'
import { stopProgram, World } from '../support/world.js'

test('with its agent gone a cluster is reached through the API server, and the audit says so', {
  skip: needs.cluster('a') || needs.program('ssh'),
}, async () => {
  const world = new World()
  try {
    await world.start({ clusters: ['a'], via: 'auto' })
    assert.equal((await world.ssh('alice+web-0.shop.a', 'hostname')).stdout.toString(), 'web-0\n')
    const agent = world.agents.get('a')
    assert.ok(agent)
    await stopProgram(agent, 'SIGKILL')
    const { stdout, stderr } = await world.ssh('alice+web-0.shop.a', 'hostname')
    assert.equal(stdout.toString(), 'web-0\n', stderr)
    const ways = world.events().flatMap((event) => (event.type === 'session.start' ? [event.via.split(' ')[0]] : []))
    assert.deepEqual(ways, ['agent', 'apiserver'])
  } finally {
    await world.stop()
  }
})
