/** The shell lines, run by every shell that this machine has. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { findMark, isVariableName, SESSION_VARIABLE, signalExec, sweepExec, wrapExec } from '../../src/runtime/kube-script.js'
import { needs } from '../support/need.js'

const shells: readonly (readonly [string, ...string[]])[] = [['dash'], ['bash'], ['busybox', 'sh']]

/** Runs a line with `shell` in the place of `sh`. @param noGrep with a PATH that has sleep and nothing else */
function run(shell: readonly string[], argv: readonly string[], path = process.env.PATH ?? ''): { status: number | null; out: string } {
  const command = spawnSync('which', [shell[0] ?? ''])
    .stdout.toString()
    .trim()
  const { status, stdout } = spawnSync(command, [...shell.slice(1), ...argv.slice(1)], { env: { PATH: path }, timeout: 20_000 })
  return { status, out: stdout.toString() }
}

for (const shell of shells) {
  const skip = needs.program(shell[0])
  const name = shell.join(' ')

  test(`${name}: the wrapper sets what it is given, marks the program and says that it runs`, { skip }, () => {
    const print = 'printf "%s|" "$PWD" "$A" "$B" "$DOCKIN_SESSION" "$#" "$@"'
    const argv = wrapExec('abc', { argv: ['sh', '-c', print, 'sh', 'x y', '', '--', "'"], env: { A: 'a "b" $c\n', B: '' }, cwd: '/tmp' })
    assert.deepEqual(run(shell, argv), { status: 0, out: 'dockin-abc-runs;/tmp|a "b" $c\n||abc|4|x y||--|\'|' })
  })

  test(`${name}: the wrapper says what it cannot start`, { skip }, () => {
    const word = (argv: string[], cwd?: string) => run(shell, wrapExec('abc', { argv, env: {}, ...(cwd === undefined ? {} : { cwd }) }))
    assert.deepEqual(word(['dockin-nothing']), { status: 127, out: 'dockin-abc-notfound;' })
    assert.deepEqual(word(['/no/such']), { status: 127, out: 'dockin-abc-notfound;' })
    assert.deepEqual(word(['/etc/passwd']), { status: 126, out: 'dockin-abc-notexec;' })
    assert.deepEqual(word(['/etc']), { status: 126, out: 'dockin-abc-notexec;' })
    assert.deepEqual(word(['true'], '/no/such'), { status: 126, out: 'dockin-abc-nodir;' })
  })

  for (const hasGrep of [true, false]) {
    test(`${name}: signals reach those that bear the mark and nobody else, ${hasGrep ? 'with' : 'without'} grep`, { skip }, async (t) => {
      const dir = mkdtempSync(join(tmpdir(), 'dockin-bin-'))
      t.after(() => rmSync(dir, { recursive: true }))
      symlinkSync('/bin/sleep', join(dir, 'sleep'))
      const path = hasGrep ? undefined : dir
      const session = `test${process.pid}x${Math.random().toString(36).slice(2)}`
      const start = (env: Record<string, string>) => spawn('sleep', ['1000'], { env: { ...env, PATH: '/usr/bin:/bin' }, stdio: 'ignore' })
      const marked = start({ FIRST: 'x', [SESSION_VARIABLE]: session, LAST: 'y' })
      const stubborn = spawn('sh', ['-c', 'trap "" HUP TERM USR1; while :; do sleep 1; done'], {
        env: { PATH: '/usr/bin:/bin', [SESSION_VARIABLE]: session },
        stdio: 'ignore',
      })
      const other = start({ [SESSION_VARIABLE]: 'another' })
      t.after(() => {
        for (const child of [marked, stubborn, other]) child.kill('SIGKILL')
      })
      await Promise.all([marked, stubborn, other].map((child) => once(child, 'spawn')))
      const stopped = once(marked, 'exit')
      assert.equal(run(shell, signalExec(session, 'USR1'), path).status, 0)
      assert.deepEqual(await stopped, [null, 'SIGUSR1'])
      const swept = run(shell, sweepExec(session), path)
      assert.equal(swept.status, 0)
      if (stubborn.signalCode === null) await once(stubborn, 'exit')
      assert.ok(stubborn.signalCode !== null)
      assert.equal(other.exitCode ?? other.signalCode, null)
    })
  }
}

test('the mark is found wherever the output is cut, and nothing else is taken for it', () => {
  const head = Buffer.from('dockin-abc-runs;output')
  for (let cut = 0; cut < 'dockin-abc-runs;'.length; cut++) assert.equal(findMark('abc', head.subarray(0, cut)), 'more')
  assert.deepEqual(findMark('abc', head), { word: 'runs', bytes: 16 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const found = findMark('abc', Buffer.from(bytes))
      if (bytes.length > 0 && bytes[0] !== 'd'.charCodeAt(0)) assert.equal(found, 'none')
      if (bytes.length > 40) assert.notEqual(found, 'more')
    }),
  )
})

test('names that a shell cannot export are told apart', () => {
  for (const name of ['A', '_', 'a1', 'LC_ALL']) assert.ok(isVariableName(name), name)
  for (const name of ['', '1A', 'A-B', 'A B', 'A=B', 'A;id', '--', 'é']) assert.ok(!isVariableName(name), name)
})
