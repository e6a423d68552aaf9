import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { makeCertificates } from '../src/certs.js'
import { needs } from './support/need.js'

const root = mkdtempSync(join(tmpdir(), 'certs-'))
after(() => rmSync(root, { recursive: true }))
let next = 0
const newDir = () => join(root, String(next++))
const pair = (dir: string, name: string) => ({
  ca: readFileSync(join(dir, 'ca.crt')),
  cert: readFileSync(join(dir, `${name}.crt`)),
  key: readFileSync(join(dir, `${name}.key`)),
})
const certificate = (dir: string, name: string) => new X509Certificate(readFileSync(join(dir, `${name}.crt`)))

test('certs makes a CA, a gateway and agents, each file 0600', async () => {
  const dir = newDir()
  const files = await makeCertificates(dir, { agents: ['node-a', 'node-b'] })
  assert.deepEqual(files.map((file) => basename(file)).sort(), [
    'ca.crt',
    'ca.key',
    'node-a.crt',
    'node-a.key',
    'node-b.crt',
    'node-b.key',
    'opserver.crt',
    'opserver.key',
  ])
  for (const file of files) assert.equal(statSync(file).mode & 0o777, 0o600, file)
  assert.equal(statSync(dir).mode & 0o777, 0o700)
})

test('a certificate says who it is for, how long, and what for', async () => {
  const dir = newDir()
  const now = new Date('2030-01-02T03:04:05Z')
  await makeCertificates(dir, { agents: ['node-a'], hosts: { 'node-a': ['10.1.2.3', '2001:db8::42', 'agents.example'] }, days: 30, now })
  const [ca, gateway, agent] = [certificate(dir, 'ca'), certificate(dir, 'opserver'), certificate(dir, 'node-a')]
  assert.equal(agent.subject, 'CN=node-a')
  assert.equal(
    agent.subjectAltName,
    'DNS:node-a, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:10.1.2.3, IP Address:2001:DB8:0:0:0:0:0:42, DNS:agents.example',
  )
  assert.equal(new Date(agent.validTo).getTime(), now.getTime() + 30 * 86_400_000)
  assert.equal(new Date(ca.validTo).getUTCFullYear(), 2039)
  assert.ok(ca.ca && !agent.ca && !gateway.ca)
  assert.deepEqual(agent.keyUsage, ['1.3.6.1.5.5.7.3.1'])
  assert.ok(gateway.keyUsage?.includes('1.3.6.1.5.5.7.3.2'))
  for (const one of [ca, gateway, agent]) {
    assert.ok(one.checkIssued(ca) && one.verify(ca.publicKey))
    assert.ok(one.serialNumber.length <= 40)
  }
  assert.ok(new Date(ca.validTo) < new Date('2050-01-01'))
})

test('a life beyond 2049 is written with four digits', async () => {
  const dir = newDir()
  await makeCertificates(dir, { agents: [], now: new Date('2049-06-01T00:00:00Z') })
  assert.equal(new Date(certificate(dir, 'ca').validTo).getUTCFullYear(), 2059)
})

test('openssl takes the certificates for what they are', { skip: needs.program('openssl') }, async () => {
  const dir = newDir()
  await makeCertificates(dir, { agents: ['node-a'] })
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  assert.match(openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', 'ca.crt', 'node-a.crt'), /node-a\.crt: OK/)
  assert.match(openssl('verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'ca.crt', 'opserver.crt'), /opserver\.crt: OK/)
  assert.throws(() => openssl('verify', '-purpose', 'sslclient', '-CAfile', 'ca.crt', 'node-a.crt'))
  const text = openssl('x509', '-in', 'ca.crt', '-noout', '-text')
  assert.match(text, /Version: 3 .*Certificate Sign, CRL Sign/s)
  assert.match(text, /CA:TRUE, pathlen:0/)
  assert.match(openssl('ec', '-in', 'node-a.key', '-noout', '-text'), /prime256v1/)
})

test('certs adds agents to a CA that is there, and overwrites nothing', async () => {
  const dir = newDir()
  await makeCertificates(dir, { agents: ['node-a'] })
  const before = ['ca.crt', 'ca.key', 'opserver.crt', 'node-a.key'].map((file) => readFileSync(join(dir, file), 'utf8'))
  await assert.rejects(
    makeCertificates(dir, { agents: ['node-b', 'node-a'] }),
    (error: { code?: string; message: string }) => error.code === 'CONFIG_INVALID' && /node-a\.crt/.test(error.message),
  )
  const files = await makeCertificates(dir, { agents: ['node-b'] })
  assert.deepEqual(
    files.map((file) => basename(file)),
    ['node-b.crt', 'node-b.key'],
  )
  assert.deepEqual(
    ['ca.crt', 'ca.key', 'opserver.crt', 'node-a.key'].map((file) => readFileSync(join(dir, file), 'utf8')),
    before,
  )
  assert.ok(certificate(dir, 'node-b').verify(certificate(dir, 'ca').publicKey))
})

test('certs refuses names that cannot be one, and a CA that is not whole', async () => {
  for (const agents of [['../x'], ['ca'], ['opserver'], [''], ['a b'], ['x'.repeat(65)]])
    await assert.rejects(makeCertificates(newDir(), { agents }), { code: 'CONFIG_INVALID' })
  await assert.rejects(makeCertificates(newDir(), { agents: ['a'], hosts: { a: ['no host'] } }), { code: 'CONFIG_INVALID' })
  const dir = newDir()
  await makeCertificates(dir, { agents: [] })
  rmSync(join(dir, 'ca.key'))
  await assert.rejects(makeCertificates(dir, { agents: ['a'] }), { code: 'CONFIG_INVALID' })
  writeFileSync(join(dir, 'ca.key'), readFileSync(join(dir, 'opserver.key')))
  await assert.rejects(makeCertificates(dir, { agents: ['a'] }), { code: 'CONFIG_INVALID' })
})

/** One handshake; the server says who came, or why not. */
async function shake(server: object, client: object): Promise<string> {
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  const outcome = new Promise<string>((resolve) => {
    listener.once('secureConnection', (socket: TLSSocket) => resolve(String(socket.getPeerCertificate().subject.CN)))
    listener.once('tlsClientError', (error: NodeJS.ErrnoException) => resolve(`refused ${error.code}`))
  })
  const socket = connect({ port, host: '127.0.0.1', ...client })
  const failure = new Promise<string>((resolve) => socket.once('error', (error: NodeJS.ErrnoException) => resolve(`client ${error.code}`)))
  const result = await Promise.race([outcome, failure])
  socket.destroy()
  listener.close()
  return result
}

test('gateway and agent trust each other over TLS, and nobody else', async () => {
  const [dir, other] = [newDir(), newDir()]
  await makeCertificates(dir, { agents: ['node-a', 'node-b'] })
  await makeCertificates(other, { agents: ['node-a'] })
  const server = pair(dir, 'node-a')
  assert.equal(await shake(server, { ...pair(dir, 'opserver'), servername: 'node-a' }), 'opserver')
  assert.equal(await shake(server, pair(dir, 'opserver')), 'opserver')
  assert.equal(await shake(server, { ...pair(dir, 'opserver'), servername: 'node-b' }), 'client ERR_TLS_CERT_ALTNAME_INVALID')
  assert.match(await shake(server, { ca: server.ca, servername: 'node-a' }), /^refused/)
  assert.match(await shake(server, { ...pair(other, 'opserver'), ca: server.ca, servername: 'node-a' }), /^refused/)
  assert.match(await shake(server, { ...pair(dir, 'node-b'), servername: 'node-a' }), /^refused/)
  assert.match(await shake(server, { ...pair(other, 'opserver'), servername: 'node-a' }), /^client/)
})
