/** The same commands through ssh, HTTP and WebSocket, against real clusters: same verdict, same code, same events. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { hashPassword } from '../../src/identity/password.js'
import type { ExecApiAnswer } from '../../src/wire/api/exec.js'
import { KUBE_V5 } from '../../src/wire/kube-channel.js'
import { needs } from '../support/need.js'
import { run, until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.program('ssh')
const PASSWORD = 'a long enough password'
const TARGET = 'web-0.shop.a+web'
const where = [{ cluster: '*', namespace: '*' }]

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly refused: boolean
}

describe('the doors that run programs', { skip, concurrency: false }, () => {
  const world = new World()
  const keys = mkdtempSync(join(tmpdir(), 'dockin-doors-'))
  const tokens = new Map<string, string>()

  before(async () => {
    const password = await hashPassword(PASSWORD)
    const keyOf = (name: string) => {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(keys, name)])
      return readFileSync(join(keys, `${name}.pub`), 'utf8').trim()
    }
    const users = ['alice', 'bob', 'carol', 'dave'].map((name) => ({ name, password, keys: [keyOf(name)] }))
    const rules = [
      { name: 'all', who: { users: ['alice'] }, where },
      { name: 'careful', who: { users: ['bob'] }, where, commands: { deny: ['rm', { cmd: 'cat', path: ['/etc/shadow'] }] }, message: 'ask alice' },
      { name: 'look', who: { users: ['carol'] }, where, commands: { allow: ['ls', 'cat', 'echo', 'true', 'false'] } },
      { name: 'no-door', who: { users: ['dave'] }, where, doors: ['sftp'] },
    ]
    await world.start({ clusters: ['a'], users, rules })
    for (const { name } of users) {
      const response = await fetch(`http://127.0.0.1:${world.httpPort}/api/v1/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: name, password: PASSWORD }),
      })
      const answer = (await response.json()) as { token?: string }
      assert.ok(answer.token, JSON.stringify(answer))
      tokens.set(name, answer.token)
    }
  })
  after(async () => {
    await world.stop()
    rmSync(keys, { recursive: true, force: true })
  })

  const doors: Record<string, (user: string, line: string) => Promise<Outcome>> = {
    exec: async (user, line) => {
      const options = [...world.options({ keyFile: join(keys, user) }), '-p', String(world.sshPort), '-l', `${user}+${TARGET}`, '127.0.0.1', line]
      const ran = await run('ssh', options)
      return { code: ran.code ?? -1, stdout: ran.stdout.toString(), refused: /^dockin: /m.test(ran.stderr) }
    },
    http: (user, line) => post(user, { command: line }),
    batch: (user, line) => post(user, { command: line, batch: 'matrix' }),
    ws: async (user, line) => {
      const query = new URLSearchParams({ target: TARGET, line })
      const socket = new WebSocket(`ws://127.0.0.1:${world.httpPort}/api/v1/exec?${query}`, [KUBE_V5], {
        headers: { authorization: `Bearer ${tokens.get(user)}` },
      })
      const out: Record<number, string> = {}
      socket.on('message', (data: Buffer) => {
        out[data[0] as number] = (out[data[0] as number] ?? '') + data.subarray(1).toString()
      })
      await once(socket, 'close')
      const causes = (JSON.parse(out[3] ?? '{}') as { details?: { causes?: { reason: string; message: string }[] } }).details?.causes ?? []
      return { code: Number(causes.find(({ reason }) => reason === 'ExitCode')?.message ?? 0), stdout: out[1] ?? '', refused: /^dockin: /m.test(out[2] ?? '') }
    },
  }
  async function post(user: string, body: object): Promise<Outcome> {
    const response = await fetch(`http://127.0.0.1:${world.httpPort}/api/v1/exec`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens.get(user)}` },
      body: JSON.stringify({ target: TARGET, ...body }),
    })
    const answer = (await response.json()) as Partial<ExecApiAnswer> & { exit: number; code?: string }
    return { code: answer.exit, stdout: answer.stdout ?? '', refused: answer.code !== undefined }
  }

  const LINES = [
    'echo hello',
    'exit 7',
    'false',
    'ls /nowhere-at-all',
    'rm -rf /nowhere',
    'cat /etc/shadow',
    'echo a; r""m x',
    'sh -c "rm x"',
    'kill -9 $$',
    'nosuchprogram',
  ]
  for (const user of ['alice', 'bob', 'carol', 'dave']) {
    test(`${user}: every door gives the verdict, code and output of ssh, and the same events`, async () => {
      for (const line of LINES) {
        const outcomes: [string, Outcome][] = []
        const events: [string, string][] = []
        for (const [door, ask] of Object.entries(doors)) {
          const first = world.events().length
          outcomes.push([door, await ask(user, line)])
          const own = await until('the session to be booked', () => {
            const all = world
              .events()
              .slice(first)
              .filter((event) => event.door === door)
            return all.some(({ type }) => type === 'session.close' || type === 'session.refused') && all
          })
          const told = own.map((event) => {
            const facts =
              event.type === 'command'
                ? [event.line, event.verdict, event.rule, event.commands]
                : event.type === 'session.close'
                  ? [event.rule, event.exit]
                  : []
            return [event.type, event.user, event.target?.pod, event.target?.container, ...facts]
          })
          // command.exit and session.close are written side by side
          events.push([door, JSON.stringify(told.map((one) => JSON.stringify(one)).sort())])
        }
        const [, byShell] = outcomes[0] as [string, Outcome]
        for (const [door, outcome] of outcomes) assert.deepEqual([door, line, outcome], [door, line, byShell])
        for (const [door, told] of events) assert.deepEqual([door, line, told], [door, line, events[0]?.[1]])
      }
    })
  }

  test('an exec of the API reaches every pod of a batch on its own, and cmdb finds them', async () => {
    const headers = { authorization: `Bearer ${tokens.get('alice')}`, 'content-type': 'application/json' }
    const base = `http://127.0.0.1:${world.httpPort}`
    const found = (await (await fetch(`${base}/api/v1/cmdb?query=gns-query`, { headers })).json()) as { pods: { target: string; dcn: string }[] }
    assert.deepEqual(
      found.pods.map(({ target, dcn }) => [target, dcn]),
      [
        ['web-0.shop.a', '1C1'],
        ['web-1.shop.a', '1C2'],
      ],
    )
    const answers = await Promise.all(
      found.pods.map(async ({ target }) => {
        const body = JSON.stringify({ target, argv: ['hostname'], batch: 'cmdb-1' })
        return (await (await fetch(`${base}/api/v1/exec`, { method: 'POST', headers, body })).json()) as ExecApiAnswer
      }),
    )
    assert.deepEqual(
      answers.map(({ exit }) => exit),
      [0, 0],
    )
    const sessions = new Set(
      world
        .events()
        .filter(({ batch }) => batch === 'cmdb-1')
        .map(({ session }) => session),
    )
    assert.deepEqual([...sessions].sort(), answers.map(({ session }) => session).sort())
    const rm = (await (await fetch(`${base}/rmController/getPodInfoByPodName?podName=tiny-0`, { headers })).json()) as {
      code: number
      data: { subSystemId: string }
    }
    assert.deepEqual([rm.code, rm.data.subSystemId], [0, '5040'])
  })
})
