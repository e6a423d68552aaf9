import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import { pathOf } from '../../src/wire/api/client.js'
import { errorSchema } from '../../src/wire/api/common.js'
import type { Access, Operation } from '../../src/wire/api/operation.js'
import { OPERATIONS, type OperationName } from '../../src/wire/api/operations.js'
import { needs } from '../support/need.js'
import { ApiGateway, type Person, type SshShell } from './support/api-gateway.js'

const skip = needs.program('ssh')

interface Case {
  readonly params?: Record<string, string>
  readonly query?: Record<string, unknown>
  readonly body?: unknown
  /** Each is refused with 400. */
  readonly bad?: readonly { readonly params?: Record<string, string>; readonly query?: Record<string, unknown>; readonly body?: unknown }[]
  /** A status besides 200. */
  readonly status?: number
  readonly as?: Person
}

const gateway = new ApiGateway()
let ended = ''
let shell: SshShell
let document: { readonly paths: Record<string, Record<string, { readonly operationId: string; readonly responses: Record<string, unknown> }>> }

before(async () => {
  if (skip) return
  await gateway.start()
  const past = await gateway.shell('alice')
  past.type('echo hello; exit\n')
  await past.ended
  ended = past.id
  shell = await gateway.shell('bob')
  document = await gateway.json('/openapi.json')
})
after(() => gateway.stop())

const BAD_ID = [{ params: { id: '..' } }, { params: { id: '../../etc/passwd' } }, { params: { id: 'a.cast' } }, { params: { id: 'x'.repeat(200) } }]

/** Every operation with what it takes and what it does not; those of other rooms have tests of their own. */
const CASES: Readonly<Partial<Record<OperationName, () => Case>>> = {
  login: () => ({
    body: { user: 'alice', password: gateway.password },
    bad: [{ body: {} }, { body: { user: 'a', password: 'b', admin: true } }, { body: 'no json' }, { body: [] }],
  }),
  refresh: () => ({ body: { refresh: 'nonsense' }, status: 401, bad: [{ body: {} }, { body: { refresh: 7 } }] }),
  whoami: () => ({}),
  listTargets: () => ({ query: { text: 'WEB', limit: 1 }, bad: [{ query: { limit: 0 } }, { query: { nonsense: 1 } }, { query: { cursor: 'x' } }] }),
  listClusters: () => ({}),
  listNodes: () => ({ query: { cluster: 'demo' }, bad: [{ query: { clusters: 'demo' } }] }),
  listSessions: () => ({
    query: { type: 'shell', state: 'live', from: '2020-01-01T00:00:00Z' },
    bad: [{ query: { state: 'dead' } }, { query: { from: 'yesterday' } }, { query: { cursor: '-1' } }, { query: { type: 'door' } }],
  }),
  getSession: () => ({ params: { id: shell.id }, bad: BAD_ID }),
  getRecording: () => ({ params: { id: ended }, bad: BAD_ID }),
  listCommands: () => ({ params: { id: ended }, bad: BAD_ID }),
  lockSession: () => ({ params: { id: shell.id }, body: { reason: 'look' }, bad: [...BAD_ID, { params: { id: shell.id }, body: { why: 'x' } }] }),
  unlockSession: () => ({ params: { id: shell.id }, bad: BAD_ID }),
  reviewSession: () => ({ params: { id: ended }, body: { note: 'fine' }, bad: [...BAD_ID, { params: { id: ended }, body: { note: 7 } }] }),
  getEvidence: () => ({ params: { id: ended }, bad: BAD_ID }),
  listAudit: () => ({
    query: { type: 'session.open', order: 'oldest', limit: 5 },
    bad: [{ query: { type: 'A B' } }, { query: { limit: 5000 } }, { query: { cursor: 'zzz' } }, { query: { follow: 'yes' } }, { query: { session: '../x' } }],
  }),
  listRules: () => ({}),
  testRules: () => ({ body: { target: 'web-0', line: 'rm x' }, bad: [{ body: { line: 'x' } }, { body: { target: 'web-0', door: 'window' } }] }),
  listUsers: () => ({}),
  // this gateway's lists are not in Redis; test/e2e/lists.test.ts has two whose are
  getRuleList: () => ({ status: 404 }),
  putRuleList: () => ({ body: { rules: [{}] }, status: 404, bad: [{ body: {} }, { body: { rules: [], more: 1 } }] }),
  checkRuleList: () => ({ body: {}, status: 404, bad: [{ body: { rules: 'all' } }, { body: { draft: [] } }] }),
  getRule: () => ({ params: { name: 'x' }, status: 404, bad: [{ params: { name: 'x'.repeat(200) } }] }),
  putRule: () => ({ params: { name: 'x' }, body: { rule: { name: 'x' } }, status: 404, bad: [{ params: { name: 'x' }, body: { rule: [] } }] }),
  deleteRule: () => ({ params: { name: 'x' }, status: 404 }),
  getAddresses: () => ({ params: { name: 'x' }, status: 404 }),
  putAddresses: () => ({ params: { name: 'x' }, body: { from: ['10.0.0.0/8'] }, status: 404, bad: [{ params: { name: 'x' }, body: { from: [] } }] }),
  deleteAddresses: () => ({ params: { name: 'x' }, status: 404 }),
  getUserList: () => ({ status: 404 }),
  getUser: () => ({ params: { name: 'x' }, status: 404 }),
  putUser: () => ({
    params: { name: 'x' },
    body: {},
    status: 404,
    bad: [
      { params: { name: 'x' }, body: { hash: '' } },
      { params: { name: 'x' }, body: { roles: ['root'] } },
    ],
  }),
  deleteUser: () => ({ params: { name: 'x' }, status: 404 }),
  health: () => ({}),
  listApprovals: () => ({}),
  top: () => ({
    body: { pods: [{ cluster: 'demo', namespace: 'default', pod: 'web-0' }] },
    bad: [{ body: {} }, { body: { pods: [] } }, { body: { pods: ['web-0'] } }, { body: { pods: [{ pod: 'web-0' }] } }],
  }),
  queryCmdb: () => ({ query: { query: 'web-0' }, bad: [{ query: {} }, { query: { query: 'x', more: 1 } }] }),
  exec: () => ({
    body: { target: 'web-0', command: 'echo hello' },
    bad: [{ body: {} }, { body: { target: 'web-0' } }, { body: { target: 'web-0', command: 'x', more: 1 } }],
  }),
  putFile: () => ({
    query: { target: 'web-0', path: 'case.txt', mode: '0600' },
    body: 'the content',
    status: 201,
    bad: [
      { query: { target: 'web-0' }, body: '' },
      { query: { target: 'web-0', path: 'x', mode: '99' }, body: '' },
    ],
  }),
  getFile: () => ({ query: { target: 'web-0', path: 'case.txt' }, bad: [{ query: { target: 'web-0' } }] }),
  statFile: () => ({ query: { target: 'web-0', path: 'case.txt' }, bad: [{ query: { path: 'x' } }] }),
  listFiles: () => ({ query: { target: 'web-0', path: '.' }, bad: [{ query: { target: 'web-0', path: '' } }] }),
  // programs of local pods write to nobody; test/e2e/logs.test.ts has a cluster whose logs are kept
  readLogs: () => ({
    query: { target: 'web-0', tail: 5 },
    status: 404,
    bad: [
      { query: {} },
      { query: { target: 'web-0', tail: -1 } },
      { query: { target: 'web-0', since: 'yesterday' } },
      { query: { target: 'web-0', limitBytes: 0 } },
    ],
  }),
  decideApproval: () => ({ params: { id: 'none' }, body: { verdict: 'approve' }, status: 404, bad: [{ params: { id: 'none' }, body: { verdict: 'maybe' } }] }),
  endSession: () => ({ params: { id: shell.id }, body: { reason: 'the test is over' }, bad: [...BAD_ID, { params: { id: shell.id }, body: {} }] }),
}

const ROLES: Readonly<Record<Access, readonly Person[]>> = { anyone: [], user: ['bob'], auditor: ['audra'], admin: ['alice'] }
const TOO_LITTLE: Readonly<Record<Access, readonly Person[]>> = { anyone: [], user: [], auditor: ['bob', 'carol'], admin: ['bob', 'audra'] }

function send(operation: Operation, input: Omit<Case, 'bad'>, who?: Person): Promise<Response> {
  return gateway.fetch(operation.method, pathOf(operation, input), who, input.body ?? (operation.method === 'POST' && operation.body ? {} : undefined))
}
async function refusal(answer: Response): Promise<string> {
  return errorSchema.parse(await answer.json()).code
}

test('every operation stands in the table of cases', () => {
  const left = Object.entries(OPERATIONS).filter(
    ([name, each]) => !('variantOf' in each) && each.answer.kind !== 'socket' && !(name in CASES) && name !== 'logout',
  )
  assert.deepEqual(
    left.map(([name]) => name),
    [],
  )
})

for (const [name, make] of Object.entries(CASES)) {
  const operation: Operation = OPERATIONS[name as OperationName]
  test(`${name} answers whom it may, as its schema says, and nobody else`, { skip }, async () => {
    const { bad = [], status = 200, as, ...input } = make()
    if (operation.access !== 'anyone') {
      const stranger = await send(operation, input)
      assert.equal(stranger.status, 401)
      assert.equal(await refusal(stranger), 'AUTH_FAILED')
    }
    for (const who of TOO_LITTLE[operation.access]) {
      const answer = await send(operation, input, who)
      assert.equal(answer.status, 403, who)
      assert.equal(await refusal(answer), 'POLICY_REFUSED')
    }
    const good = as ?? (operation.access === 'anyone' ? undefined : 'alice')
    for (const input of bad) {
      const answer = await send(operation, input, good)
      assert.ok(answer.status === 400 || [404, 414, 415].includes(answer.status), `${JSON.stringify(input)}: ${answer.status}`)
      assert.ok(['BAD_REQUEST', 'NOT_FOUND'].includes(await refusal(answer)))
    }
    const answer = await send(operation, input, good)
    assert.equal(answer.status, status, await answer.clone().text())
    if (status >= 400) return void (await refusal(answer))
    if (operation.answer.kind !== 'json') {
      assert.match(answer.headers.get('content-type') ?? '', new RegExp(operation.answer.kind === 'stream' ? operation.answer.mediaType : ''))
      assert.ok((await answer.arrayBuffer()).byteLength > 0)
      return
    }
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const body: unknown = await answer.json()
    documented(name, String(status)).parse(body)
  })
}

/** The schema of an answer as /openapi.json states it. */
function documented(name: string, status: string): z.ZodType {
  for (const methods of Object.values(document.paths)) {
    for (const each of Object.values(methods)) {
      if (each.operationId !== name) continue
      const answer = each.responses[status] as { content: Record<string, { schema: Parameters<typeof z.fromJSONSchema>[0] }> }
      const schema = answer.content['application/json']?.schema
      assert.ok(schema, name)
      return z.fromJSONSchema(schema)
    }
  }
  return assert.fail(`${name} is not documented`)
}

test('roles are cumulative: who may more may also less', { skip }, async () => {
  for (const [access, people] of Object.entries(ROLES)) {
    if (access === 'anyone') continue
    for (const who of people) assert.equal((await gateway.fetch('GET', '/api/v1/whoami', who)).status, 200)
  }
  assert.equal((await gateway.fetch('GET', '/api/v1/users', 'alice')).status, 200)
})

test('no answer about users holds a hash, and no schema of a body lets a key more pass', { skip }, async () => {
  const text = await (await gateway.fetch('GET', '/api/v1/users', 'audra')).text()
  assert.ok(!text.includes('argon2') && !text.includes('scrypt'))
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, each] of Object.entries(methods)) {
      const body = (each as { requestBody?: { content: Record<string, { schema: { additionalProperties?: unknown; anyOf?: unknown } }> } }).requestBody
      const schema = body?.content['application/json']?.schema
      if (schema && !path.includes('exec')) assert.equal(schema.additionalProperties, false, `${method} ${path}`)
    }
  }
})
