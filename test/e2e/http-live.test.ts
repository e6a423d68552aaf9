import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { WebSocket } from 'ws'
import { verifyEvidence } from '../../src/wire/evidence/verify.js'
import { ApiGateway } from '../http/support/api-gateway.js'
import { needs } from '../support/need.js'
import { until } from '../support/world.js'

const skip = needs.program('ssh')
const gateway = new ApiGateway()
before(async () => {
  if (!skip) await gateway.start()
})
after(() => gateway.stop())

/** A view of a session as a client sees it. */
class View {
  readonly lines: unknown[] = []
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #socket: WebSocket

  constructor(id: string, token = gateway.tokens.audra) {
    this.#socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/sessions/${id}/live`, { headers: { authorization: `Bearer ${token}` } })
    this.#socket.on('message', (data) => this.lines.push(JSON.parse(String(data))))
    this.closed = new Promise((resolve, reject) => {
      this.#socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
      this.#socket.once('error', reject)
    })
  }

  get header(): { readonly version: number; readonly width: number; readonly dockin: { readonly session: string } } | undefined {
    return this.lines[0] as View['header']
  }
  get output(): string {
    return this.lines
      .slice(1)
      .map((line) => line as [number, string, string])
      .filter(([, code]) => code === 'o')
      .map(([, , text]) => text)
      .join('')
  }
  shows(text: string): Promise<boolean> {
    return until(`the view to show ${text}, but: ${JSON.stringify(this.output.slice(-300))}`, () => this.output.includes(text))
  }
  leave(): void {
    this.#socket.close()
  }
}

const act = (id: string, what: string, body: object = {}) => gateway.fetch('POST', `/api/v1/sessions/${id}/${what}`, 'alice', body)

test('a watcher sees what the terminal shows; an admin holds, frees and ends it, and the user reads so', { skip }, async () => {
  const shell = await gateway.shell('alice')
  shell.type('echo before-$((40+2))\n')
  await shell.shows('before-42')
  const view = new View(shell.id)
  await view.shows('before-42')
  assert.equal(view.header?.version, 2)
  assert.equal(view.header?.dockin.session, shell.id)
  shell.type('echo live-$((40+3))\n')
  await view.shows('live-43')
  await until('the watcher to be counted', async () => (await gateway.json<{ watchers: number }>(`/api/v1/sessions/${shell.id}`)).watchers === 1)

  assert.equal((await act(shell.id, 'lock', { reason: 'let me look' })).status, 200)
  await shell.shows('dockin: your input is held by alice: let me look')
  assert.equal((await act(shell.id, 'lock')).status, 400, 'locked once')
  shell.type('echo held-$((40+4))\n')
  // what the gate lets through would be echoed by the terminal: the answer of a question behind it comes, and no echo
  await gateway.json(`/api/v1/sessions/${shell.id}`)
  assert.ok(!shell.shown.includes('held-'))
  assert.equal((await gateway.json<{ locked: { by: string } }>(`/api/v1/sessions/${shell.id}`)).locked.by, 'alice')

  assert.equal((await act(shell.id, 'unlock')).status, 200)
  await shell.shows('alice let your input go on')
  await shell.shows('held-44')
  assert.equal((await act(shell.id, 'unlock')).status, 400, 'open already')

  assert.equal((await act(shell.id, 'end', { reason: 'maintenance\u001b[2J window' })).status, 200)
  await shell.shows('dockin: session ended by an administrator: by alice: maintenance [2J window')
  assert.equal(await shell.ended, 255)
  assert.equal((await view.closed).code, 1000)
  const acts = (await gateway.events(`session=${shell.id}&type=admin&order=oldest`)).map((event) => (event.type === 'admin' ? event.action : ''))
  assert.deepEqual(
    acts.filter((action) => action !== 'recording.closed'),
    ['session.watch', 'session.lock', 'session.unlock', 'session.end'],
  )
  const { state, reason } = await gateway.json<{ state: string; reason: string }>(`/api/v1/sessions/${shell.id}`)
  assert.equal(state, 'ended')
  assert.match(reason, /by alice/)
})

test('a user watches their own session, and leaves without harm', { skip }, async () => {
  const shell = await gateway.shell('bob')
  const own = new View(shell.id, gateway.tokens.bob)
  await until('the header', () => own.header)
  own.leave()
  assert.equal((await own.closed).code, 1005)
  shell.type('exit\n')
  await shell.ended
})

test('commands stand at their second of the recording, which can be read from there', { skip }, async () => {
  const shell = await gateway.shell('bob')
  shell.type('echo first-$((1+1))\n')
  await shell.shows('first-2')
  shell.type('rm -rf /tmp/none\n')
  await shell.shows('ask alice')
  shell.type('exit\n')
  await shell.ended
  const { items } = await gateway.json<{ items: { line: string; verdict: string; offset: number; status?: number }[] }>(
    `/api/v1/sessions/${shell.id}/commands`,
    'bob',
  )
  assert.deepEqual(
    items.map(({ line, verdict }) => [line, verdict]),
    [
      ['echo first-$((1+1))', 'allow'],
      ['rm -rf /tmp/none', 'deny'],
      ['exit', 'allow'],
    ],
  )
  assert.ok(items.every(({ offset }, i) => offset >= 0 && offset < 120 && (i === 0 || offset >= (items[i - 1]?.offset ?? 0))))
  const recording = await gateway.fetch('GET', `/api/v1/sessions/${shell.id}/recording`, 'audra')
  const text = await recording.text()
  assert.equal((JSON.parse(text.split('\n')[0] ?? '') as { version: number }).version, 2)
  assert.ok(text.includes('first-2'))
  const tag = recording.headers.get('etag') ?? ''
  assert.match(tag, /^"[0-9a-f]{64}"$/)
  assert.equal((await gateway.fetch('GET', `/api/v1/sessions/${shell.id}/recording`, 'audra', undefined, { 'if-none-match': tag })).status, 304)
  const later = await (await gateway.fetch('GET', `/api/v1/sessions/${shell.id}/recording?from=${items[2]?.offset}`, 'audra')).text()
  assert.equal((JSON.parse(later.split('\n')[0] ?? '') as { version: number }).version, 2)
  const looks = await gateway.events(`session=${shell.id}&type=admin`)
  assert.equal(looks.filter((event) => event.type === 'admin' && event.action === 'recording.read' && event.user === 'audra').length, 3)
})

test('an evidence pack verifies offline with the key that was kept elsewhere, and not once it was changed', { skip }, async () => {
  const shell = await gateway.shell('carol')
  shell.type('ls /\nexit\n')
  await shell.ended
  assert.equal((await gateway.fetch('POST', `/api/v1/sessions/${shell.id}/review`, 'audra', { note: 'looked at' })).status, 200)
  const { review } = await gateway.json<{ review: { by: string; note: string } }>(`/api/v1/sessions/${shell.id}`)
  assert.deepEqual([review.by, review.note], ['audra', 'looked at'])
  const answer = await gateway.fetch('GET', `/api/v1/sessions/${shell.id}/evidence`, 'audra')
  assert.equal(answer.status, 200)
  const pack = join(gateway.dir, 'pack')
  mkdirSync(pack)
  writeFileSync(join(gateway.dir, 'pack.tar'), Buffer.from(await answer.arrayBuffer()))
  execFileSync('tar', ['-xf', join(gateway.dir, 'pack.tar'), '-C', pack])
  const { audit } = await gateway.json<{ audit: { publicKey: string } }>('/api/v1/health')
  const report = await verifyEvidence(pack, { key: audit.publicKey })
  assert.deepEqual(report.problems, [])
  assert.equal(report.ok, true)
  assert.equal(report.recordings.verified, 1)
  execFileSync('sed', ['-i', 's/"ls \\/"/"id"/', join(pack, 'events.ndjson')])
  assert.equal((await verifyEvidence(pack, { key: audit.publicKey })).ok, false)
})

test('a pack of a session that runs is refused, and the log can be followed as it grows', { skip }, async () => {
  const controller = new AbortController()
  const answer = await fetch(`${gateway.url}/api/v1/audit?follow=1&user=bob`, {
    headers: { authorization: `Bearer ${gateway.tokens.audra}` },
    signal: controller.signal,
  })
  assert.equal(answer.headers.get('content-type'), 'application/x-ndjson')
  const reader = answer.body?.getReader()
  const shell = await gateway.shell('bob')
  assert.equal((await gateway.fetch('GET', `/api/v1/sessions/${shell.id}/evidence`, 'audra')).status, 400)
  let text = ''
  while (!text.includes('"session.open"')) text += Buffer.from((await reader?.read())?.value ?? []).toString()
  controller.abort()
  assert.ok(
    text
      .split('\n')
      .filter(Boolean)
      .every((line) => (JSON.parse(line) as { user: string }).user === 'bob'),
  )
  shell.type('exit\n')
  await shell.ended
})

test('a gateway that stops says so to who watches', { skip }, async () => {
  const own = await new ApiGateway().start()
  const shell = await own.shell('alice')
  const socket = new WebSocket(`${own.url.replace('http', 'ws')}/api/v1/sessions/${shell.id}/live`, {
    headers: { authorization: `Bearer ${own.tokens.audra}` },
  })
  const closed = new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)))
  await new Promise((resolve) => socket.once('message', resolve))
  await own.stop()
  assert.ok([1000, 1001].includes(await closed))
})
