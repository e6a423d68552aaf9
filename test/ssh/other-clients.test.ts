import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { needs } from '../support/need.js'
import { clientKey, type Gateway, gateway, PASSWORD, type Ran, run } from './gateway.js'

const PYTHON = '/usr/bin/python3'
const skipPlink = needs.program('plink')
const skipParamiko = ((): false | string => {
  try {
    execFileSync(PYTHON, ['-c', 'import paramiko'], { stdio: 'ignore' })
    return false
  } catch {
    return 'python3-paramiko is not installed'
  }
})()

function plink(at: Gateway, command: string, input = '', ...flags: string[]): Promise<Ran> {
  const fingerprint = at.server.fingerprints['ssh-ed25519'] ?? ''
  const args = ['-ssh', '-batch', '-P', String(at.port), '-pw', PASSWORD, '-hostkey', fingerprint, ...flags, 'alice@127.0.0.1', command]
  return run('plink', args, { env: { PATH: process.env.PATH, HOME: at.dir }, input })
}

test('plink logs in by password and gets the exit status', { skip: skipPlink }, async (t) => {
  const at = await gateway(t)
  assert.equal((await plink(at, 'exit 9')).code, 9)
})

test('plink gets its output after its input ended, past several windows', { skip: skipPlink }, async (t) => {
  const at = await gateway(t)
  const input = 'x'.repeat(5_000_000)
  const ran = await plink(at, 'cat', input)
  assert.deepEqual([ran.code, ran.stdout.length], [0, input.length])
})

test('plink reports a killed program as 128+n', { skip: skipPlink }, async (t) => {
  const at = await gateway(t)
  assert.equal((await plink(at, 'die KILL')).code, 137)
})

/** Runs one command over paramiko; prints exit status and the length of the output. */
const PARAMIKO = `
import paramiko, sys
port, key, command, size = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
login = dict(key_filename=key) if key else dict(password='${PASSWORD}')
client.connect('127.0.0.1', port, 'alice+web-0', allow_agent=False, look_for_keys=False, **login)
stdin, stdout, stderr = client.exec_command(command)
stdin.write(b'x' * size)
stdin.channel.shutdown_write()
out = stdout.read()
print(stdout.channel.recv_exit_status(), len(out))
client.close()
`

async function paramiko(at: Gateway, command: string, { key = '', size = 0 } = {}): Promise<string> {
  const script = join(at.dir, 'client.py')
  writeFileSync(script, PARAMIKO)
  const ran = await run(PYTHON, ['-W', 'ignore', script, String(at.port), key, command, String(size)])
  assert.equal(ran.code, 0, ran.stderr)
  return ran.stdout.toString().trim()
}

test('paramiko logs in by password, half-closes and gets its output', { skip: skipParamiko }, async (t) => {
  const at = await gateway(t)
  assert.equal(await paramiko(at, 'cat', { size: 3_000_000 }), '0 3000000')
  assert.equal(await paramiko(at, 'die TERM'), '143 0')
})

for (const [type, bits] of [
  ['ed25519', undefined],
  ['ecdsa', 256],
  ['rsa', 2048],
] as const) {
  test(`paramiko logs in with an ${type} key`, { skip: skipParamiko }, async (t) => {
    const at = await gateway(t)
    assert.equal(await paramiko(at, 'exit 3', { key: clientKey(at.dir, type, bits) }), '3 0')
  })
}
