import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LoginAnswer } from '../../src/core/types.js'
import { needs } from '../support/need.js'
import { askPass, clientKey, gateway, identityOf, openDoorLogin, run, ssh, sshOptions } from './gateway.js'
import { login } from './scripted-client.js'

const skip = needs.program('ssh')

test('a login that takes too long is ended with a text', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { timeouts: { loginMs: 600 } })
  const env = askPass(at.dir)
  writeFileSync(join(at.dir, 'askpass'), '#!/bin/sh\nexec sleep 2\n')
  chmodSync(join(at.dir, 'askpass'), 0o700)
  const ran = await run('ssh', [...sshOptions(at, 'PreferredAuthentications=password', 'LogLevel=INFO'), 'alice@127.0.0.1', 'exit 0'], { env })
  assert.equal(ran.code, 255)
  assert.match(ran.stderr, /the login took too long/)
})

test('too many wrong passwords end the connection with a text', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { limits: { attempts: 2 } })
  const env = askPass(at.dir, 'wrong')
  const ran = await run(
    'ssh',
    [...sshOptions(at, 'PreferredAuthentications=password', 'NumberOfPasswordPrompts=9', 'LogLevel=INFO'), 'alice@127.0.0.1', 'exit 0'],
    { env },
  )
  assert.equal(ran.code, 255)
  assert.match(ran.stderr, /too many failed logins on this connection/)
  assert.equal(at.attempts.length, 2)
})

test('a locked out user is told, and cut off', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { login: { attempt: async () => ({ kind: 'refused', reason: 'locked', locked: true }) } })
  const ran = await ssh(at, ['exit', '0'], { settings: ['LogLevel=INFO'] })
  assert.match(ran.stderr, /try again later/)
})

test('a login that is still being judged is aborted when its client leaves', { timeout: 10_000 }, async (t) => {
  let asked: (signal: AbortSignal) => void = () => undefined
  const judging = new Promise<AbortSignal>((resolve) => {
    asked = resolve
  })
  const at = await gateway(t, {
    login: {
      attempt: (_attempt, signal) =>
        new Promise<LoginAnswer>((_, reject) => {
          asked(signal)
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
    },
  })
  const attempt = login(at).catch((error: Error) => error)
  const signal = await judging
  const aborted = once(signal, 'abort')
  await at.server.close()
  await aborted
  assert.equal(signal.reason.code, 'CLIENT_GONE')
  assert.equal((await attempt) instanceof Error, true)
})

test('an acceptance without a verified signature lets nobody in', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, {
    login: {
      attempt: async (attempt) => (attempt.method === 'publickey' && !attempt.verify ? { kind: 'sign' } : { kind: 'accepted', identity: identityOf(attempt) }),
    },
  })
  const ran = await ssh(at, ['exit', '0'], { key: clientKey(at.dir, 'ed25519') })
  assert.equal(ran.code, 255)
  assert.equal(
    at.lines.some(({ fields }) => fields.reason === 'the signature was not verified'),
    true,
  )
})

test('an acceptance of a key that was only named lets nobody in', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { login: { attempt: async (attempt) => ({ kind: 'accepted', identity: identityOf(attempt) }) } })
  const ran = await ssh(at, ['exit', '0'], { key: clientKey(at.dir, 'ed25519') })
  assert.equal(ran.code, 255)
  assert.equal(at.requests.length, 0)
})

test('a login that throws lets nobody in', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, {
    login: {
      attempt: async () => {
        throw new Error('the directory is down')
      },
    },
  })
  assert.equal((await ssh(at, ['exit', '0'])).code, 255)
  assert.equal(
    at.lines.some(({ event }) => event === 'ssh.login.failed'),
    true,
  )
})

test('a certificate is refused as an algorithm that is not known', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t)
  const ca = clientKey(at.dir, 'ecdsa', 256)
  const key = clientKey(at.dir, 'ed25519')
  assert.equal((await run('ssh-keygen', ['-q', '-s', ca, '-I', 'id', '-n', 'alice', `${key}.pub`])).code, 0)
  const ran = await ssh(at, ['exit', '0'], { key, settings: [`CertificateFile=${key}-cert.pub`, 'PubkeyAcceptedAlgorithms=ssh-ed25519-cert-v01@openssh.com'] })
  assert.equal(ran.code, 255)
  assert.equal(at.attempts.length, 0)
})

test('an agent full of other keys does not use up the attempts', { skip, timeout: 20_000 }, async (t) => {
  const allowed: string[] = []
  const at = await gateway(t, {
    login: {
      async attempt(attempt, signal) {
        if (attempt.method === 'publickey' && !attempt.verify && !allowed.includes(attempt.key.toString('base64')))
          return { kind: 'refused', reason: 'unknown key', locked: false }
        return openDoorLogin().attempt(attempt, signal)
      },
    },
  })
  const keys = Array.from({ length: 8 }, (_, index) => {
    const dir = join(at.dir, `k${index}`)
    return { dir }
  })
  const { mkdirSync, readFileSync } = await import('node:fs')
  const files = keys.map(({ dir }) => {
    mkdirSync(dir)
    return clientKey(dir, 'ed25519')
  })
  allowed.push(readFileSync(`${files.at(-1)}.pub`, 'utf8').split(' ')[1] ?? '')
  const ran = await run(
    'ssh',
    [...sshOptions(at, 'PreferredAuthentications=publickey'), ...files.flatMap((file) => ['-i', file]), 'alice@127.0.0.1', 'exit 0'],
    { env: { PATH: process.env.PATH, HOME: at.dir } },
  )
  assert.deepEqual([ran.code, ran.stderr], [0, ''])
})

test('the banner is shown before login', { skip, timeout: 10_000 }, async (t) => {
  const at = await gateway(t, { banner: 'Sessions are recorded.' })
  const ran = await ssh(at, ['exit', '0'], { settings: ['LogLevel=INFO'] })
  assert.match(ran.stderr, /Sessions are recorded\./)
})
