/** opsctl get pods -w against a real cluster: pods as they come and go. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { hashPassword } from '../../src/identity/password.js'
import { ClusterPods } from '../support/cluster-pods.js'
import { needs } from '../support/need.js'
import { repository, until, World } from '../support/world.js'

const PASSWORD = 'a long enough password'

describe('a watch over pods', { skip: needs.cluster('a') || needs.program('kubectl'), timeout: 180_000 }, () => {
  const world = new World()
  const pods = new ClusterPods('a')
  before(async () => {
    const users = [{ name: 'alice', password: await hashPassword(PASSWORD, { memoryKib: 1024, passes: 1 }) }]
    const rules = [{ name: 'some', who: { users: ['alice'] }, where: [{ cluster: '*', pod: 'seen-*' }] }]
    await world.start({ clusters: ['a'], via: 'apiserver', users, rules })
  })
  after(async () => {
    await world.stop()
    pods.remove()
  })

  test('a pod is told when it comes, when it runs and when it goes; one that may not be seen is not', async () => {
    const body = JSON.stringify({ user: 'alice', password: PASSWORD })
    const url = `http://127.0.0.1:${world.httpPort}`
    const answer = await fetch(`${url}/api/v1/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const { token } = (await answer.json()) as { token: string }
    const env = { PATH: process.env.PATH, HOME: world.dir, DOCKIN_SERVER: url, DOCKIN_TOKEN: token }
    const child = spawn(process.execPath, [join(repository, 'dist/src/cli/opsctl.js'), 'get', 'pods', '-w', '-o', 'json'], { env })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
      })
    }
    const exit = new Promise((resolve) => child.once('close', resolve))
    pods.create('unseen', { line: 'sleep 100000' })
    const name = pods.create('seen', { line: 'sleep 100000' })
    await until('the pod to run', () => said.split('\n').some((line) => line.includes(name) && line.includes('"state":"Running"')), 60_000)
    pods.delete(name)
    await until('the pod to be gone', () => said.split('\n').some((line) => line.includes(name) && line.includes('"state":"Gone"')), 60_000)
    assert.ok(!said.includes('unseen'), said)
    child.kill('SIGINT')
    assert.equal(await exit, 0)
  })
})
