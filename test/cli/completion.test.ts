import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { spawn } from 'node-pty'
import { createCli } from '../../src/cli/cli.js'
import { candidates } from '../../src/cli/completion/candidates.js'
import { completionScript } from '../../src/cli/completion/scripts.js'
import { opsctlProgram } from '../../src/cli/opsctl-program.js'
import { needs } from '../support/need.js'
import { tempDir } from '../support/temp-dir.js'
import { until } from '../support/world.js'

const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} }
const program = opsctlProgram(createCli('opsctl', streams))
const complete = (...words: string[]) => candidates(program, words, async (kind) => [`a-${kind}`, `b-${kind}`])

test('commands, options, choices and names are each completed where they may stand', async () => {
  assert.deepEqual(await complete('lo'), ['lock', 'login', 'logout', 'logs'])
  assert.deepEqual(await complete('get', 'p'), ['pods'])
  assert.deepEqual(await complete('get', 'pods', '-o', 'j'), ['json'])
  assert.deepEqual(await complete('get', 'pods', '--sel'), ['--selector'])
  assert.deepEqual(await complete('exec', '-i', 'a'), ['a-target'])
  assert.deepEqual(await complete('exec', 'web-0', '--', 'l'), [])
  assert.deepEqual(await complete('replay', 'b'), ['b-session'])
  assert.deepEqual(await complete('whoami', '--context', ''), ['a-context', 'b-context'])
  assert.deepEqual(await complete('rules', ''), ['from', 'get', 'put', 'rm', 'test'])
  assert.deepEqual(await complete('completion', ''), ['bash', 'fish', 'zsh'])
  assert.ok(!(await complete('')).includes('__complete'))
})

test('the script for bash is one that bash can read', () => {
  execFileSync('bash', ['-n'], { input: completionScript('bash', 'opsctl') })
  for (const shell of ['zsh', 'fish'] as const) assert.match(completionScript(shell, 'dockctl'), /dockctl __complete -- /)
})

/** A folder whose `opsctl` is the client of the sources, and nothing else of ours. */
async function clientOnPath(t: TestContext): Promise<NodeJS.ProcessEnv> {
  const dir = await tempDir(t)
  const repository = join(import.meta.dirname, '../..')
  const client = join(repository, 'src/cli/opsctl.ts')
  writeFileSync(join(dir, 'opsctl'), `#!/bin/sh\ncd ${repository} && exec ${process.execPath} --import tsx ${client} "$@"\n`, { mode: 0o755 })
  return { PATH: `${dir}:${process.env.PATH}`, HOME: dir, XDG_CONFIG_HOME: dir, TERM: 'xterm', LANG: 'C.UTF-8' }
}

test('fish completes with its script', { skip: needs.program('fish'), timeout: 120_000 }, async (t) => {
  const env = await clientOnPath(t)
  const asked =
    'opsctl completion fish | source; complete --do-complete "opsctl get p"; complete --do-complete "opsctl get pods -o ya"; complete --do-complete "opsctl log"'
  const said = execFileSync('fish', ['--no-config', '-c', asked], { env, encoding: 'utf8' })
  assert.deepEqual(said.trim().split('\n'), ['pods', 'yaml', 'login', 'logout', 'logs'])
})

test('zsh completes with its script, at a terminal', { skip: needs.program('zsh'), timeout: 120_000 }, async (t) => {
  const env = await clientOnPath(t)
  const child = spawn('zsh', ['-f', '-i'], { name: 'xterm', cols: 120, rows: 30, env: env as Record<string, string> })
  t.after(() => child.kill('SIGKILL'))
  let shown = ''
  child.onData((data) => {
    shown += data
  })
  child.write('PS1="ready> "; autoload -Uz compinit && compinit -u -D; source <(opsctl completion zsh); print -r -- loaded=$?\r')
  await until('the script to be read', () => /loaded=0/.test(shown) || (/loaded=[1-9]/.test(shown) && assert.fail(shown)), 60_000)
  child.write('opsctl get po\t')
  await until('the word to be completed', () => shown.includes('opsctl get pods'), 60_000)
})
