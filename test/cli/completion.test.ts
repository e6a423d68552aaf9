import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createCli } from '../../src/cli/cli.js'
import { candidates } from '../../src/cli/completion/candidates.js'
import { completionScript } from '../../src/cli/completion/scripts.js'
import { opsctlProgram } from '../../src/cli/opsctl-program.js'

const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} }
const program = opsctlProgram(createCli('opsctl', streams))
const complete = (...words: string[]) => candidates(program, words, async (kind) => [`a-${kind}`, `b-${kind}`])

test('commands, options, choices and names are each completed where they may stand', async () => {
  assert.deepEqual(await complete('lo'), ['lock', 'login', 'logout'])
  assert.deepEqual(await complete('get', 'p'), ['pods'])
  assert.deepEqual(await complete('get', 'pods', '-o', 'j'), ['json'])
  assert.deepEqual(await complete('get', 'pods', '--sel'), ['--selector'])
  assert.deepEqual(await complete('exec', '-i', 'a'), ['a-target'])
  assert.deepEqual(await complete('exec', 'web-0', '--', 'l'), [])
  assert.deepEqual(await complete('replay', 'b'), ['b-session'])
  assert.deepEqual(await complete('whoami', '--context', ''), ['a-context', 'b-context'])
  assert.deepEqual(await complete('rules', ''), ['test'])
  assert.deepEqual(await complete('completion', ''), ['bash', 'fish', 'zsh'])
  assert.ok(!(await complete('')).includes('__complete'))
})

test('the script for bash is one that bash can read', () => {
  execFileSync('bash', ['-n'], { input: completionScript('bash', 'opsctl') })
  for (const shell of ['zsh', 'fish'] as const) assert.match(completionScript(shell, 'dockctl'), /dockctl __complete -- /)
})
