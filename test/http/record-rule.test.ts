import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CastParser } from '../../src/wire/asciicast.js'
import { needs } from '../support/need.js'
import { until } from '../support/world.js'
import { ApiGateway, type Person } from './support/api-gateway.js'

const skip = needs.program('ssh')
const gateway = new ApiGateway()
const MAX_BYTES = 100_000
before(async () => {
  if (!skip) await gateway.start((config) => ({ ...config, rules: config.rules.map((rule) => ({ ...rule, record: { input: true, maxBytes: MAX_BYTES } })) }))
})
after(() => gateway.stop())

async function recorded(id: string) {
  await until('the session to end', async () => (await gateway.json<{ state: string }>(`/api/v1/sessions/${id}`)).state === 'ended')
  const answer = await gateway.fetch('GET', `/api/v1/sessions/${id}/recording`, 'alice')
  const parser = new CastParser()
  return parser.push(Buffer.from(await answer.arrayBuffer()))
}

for (const [what, user] of [
  ['a plain', 'alice'],
  ['a guarded', 'bob'],
] as const satisfies readonly (readonly [string, Person])[]) {
  test(`a rule that asks for input has the lines of ${what} shell recorded, and no secret`, { skip }, async () => {
    const shell = await gateway.shell(user)
    await shell.shows(/[#$] $/)
    for (const each of 'echo typed-by-hand') shell.type(each)
    shell.type('\r')
    await shell.shows(/[\r\n]typed-by-hand\r\n[\s\S]*[#$] $/)
    // biome-ignore lint/suspicious/noTemplateCurlyInString: of the shell
    shell.type('read -s x; echo "got ${#x}"\r')
    await shell.shows(/read -s x; echo "got [\s\S]*\r\n/)
    await new Promise((resolve) => setTimeout(resolve, 500)) // the shell turns echo off without a sign
    shell.type('hunter2-secret\r')
    await shell.shows(/got 14/)
    shell.type('exit\r')
    await shell.ended
    const events = await recorded(shell.id)
    const typed = events.filter(({ code }) => code === 'i').map(({ data }) => data)
    assert.ok(typed.includes('echo typed-by-hand\r'), JSON.stringify(typed))
    assert.ok(!events.some(({ data }) => data.includes('hunter2')), 'the secret is nowhere')
    assert.ok(!typed.some((line) => /h.*u.*n.*t/.test(line.replace('hand', ''))), JSON.stringify(typed))
    const { items } = await gateway.json<{ items: { name: string; record?: object }[] }>('/api/v1/rules')
    assert.deepEqual(items[0]?.record, { input: true, maxBytes: MAX_BYTES })
  })
}

test('a rule caps the recording of its sessions, and the session goes on', { skip }, async () => {
  const shell = await gateway.shell('alice')
  await shell.shows(/[#$] $/)
  shell.type(`head -c 300000 /dev/zero | tr '\\0' x; echo; echo the-"end"\r`)
  await shell.shows(/the-end/)
  shell.type('exit\r')
  await shell.ended
  const events = await recorded(shell.id)
  assert.ok(events.reduce((sum, { data }) => sum + data.length, 0) < MAX_BYTES * 2)
  assert.match(events.findLast(({ code }) => code === 'm')?.data ?? '', /size limit is reached/)
})
