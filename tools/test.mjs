// `npm test`: sets up, checks types and style, starts the real things that tests need, runs every test, counts.
// Arguments pick test files by substring: `npm test -- session`.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { root, setUp } from './setup.mjs'

/** Debian packages that hold the real peers of the tests, by a program that each brings. */
const PEERS = {
  'redis-server': 'redis-server',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  plink: 'putty-tools',
  rsync: 'rsync',
  sshfs: 'sshfs',
  tmux: 'tmux',
  zsh: 'zsh',
  fish: 'fish',
  busybox: 'busybox-static',
  dash: 'dash',
  containerd: 'containerd',
  runc: 'runc',
  chromium: 'chromium',
}

function has(program) {
  return ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'].some((folder) => existsSync(join(folder, program)))
}

function installPeers() {
  const missing = Object.entries(PEERS).flatMap(([program, name]) => (has(program) ? [] : [name]))
  if (spawnSync('/usr/bin/python3', ['-c', 'import paramiko']).status !== 0) missing.push('python3-paramiko')
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.error(`not installed, so their tests are skipped: ${missing.join(' ')}`)
    return
  }
  console.error(`installing ${missing.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  spawnSync('apt-get', ['update', '-qq'], { stdio: ['ignore', 'ignore', 2], env })
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { stdio: ['ignore', 'ignore', 2], env })
}

/** Two real clusters, where the scripts that start them stand beside the checkout and this user may. */
function startClusters() {
  const up = join(root, '../shared/cluster/up')
  if (!existsSync(up) || process.getuid?.() !== 0) {
    console.error('no clusters can be started here: their tests are skipped')
    return
  }
  const { status } = spawnSync(up, ['a', 'b'], { stdio: ['ignore', 2, 2], timeout: 15 * 60_000 })
  if (status !== 0) console.error('the clusters did not start: their tests are skipped')
}

/** A failed check fails the run, which goes on: what the tests say is worth knowing all the same. Answers the name when it fails. */
function passes(name, command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  return status === 0 ? undefined : name
}

function testFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort()
}

/** The limit holds for a file as a whole: the corpus types several hundred cases into real shells. */
const FILE_LIMIT_MS = 20 * 60_000
/** After this the run is ended with what it has: a result that says what hung is better than none. */
const RUN_LIMIT_MS = 75 * 60_000
const deadline = Date.now() + RUN_LIMIT_MS
/** Types like people do, and waits as long as they would: nothing runs beside it. */
const ALONE = ['test/e2e/corpus.test.ts']
/** More files than this do not fail for want of a core. */
const AGAIN_MAX = 8

/** Runs the files in a process group of their own, so that nothing that a killed test had started outlives the run. */
async function runTests(files, concurrency) {
  if (files.length === 0) return []
  const scratch = mkdtempSync(join(tmpdir(), 'dockin-test-'))
  const counts = join(scratch, 'counts.ndjson')
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./tools/count-reporter.mjs',
    `--test-reporter-destination=${counts}`,
  ]
  const flags = ['--import', 'tsx', '--test', `--test-concurrency=${concurrency}`, `--test-timeout=${FILE_LIMIT_MS}`, ...reporters]
  const runner = spawn(process.execPath, [...flags, ...files], { cwd: root, stdio: ['ignore', 1, 2], detached: true })
  const killGroup = () => {
    try {
      process.kill(-runner.pid, 'SIGKILL')
    } catch (error) {
      if (error.code !== 'ESRCH') throw error
    }
  }
  const failed = []
  const limit = setTimeout(() => {
    failed.push(`the run did not end within ${RUN_LIMIT_MS / 60_000} minutes`)
    killGroup()
  }, deadline - Date.now())
  const interrupted = () => {
    killGroup()
    process.exit(1)
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, interrupted)
  try {
    await once(runner, 'exit')
    const results = readFileSync(counts, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
    return [...results, ...failed.map((name) => ({ result: 'failed', name }))]
  } finally {
    clearTimeout(limit)
    killGroup()
    rmSync(scratch, { recursive: true, force: true })
  }
}

setUp()
const checks = [
  passes('types', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', 'tsconfig.json']),
  passes('types of the console', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', 'src/console']),
  passes('style', join(root, 'node_modules/.bin/biome'), ['check', '--diagnostic-level=error', '.']),
]
const wanted = process.argv.slice(2)
const files = testFiles(join(root, 'test')).filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
installPeers()
startClusters()
const results = [
  ...(await runTests(
    files.filter((file) => !ALONE.includes(file)),
    2,
  )),
  ...(await runTests(
    files.filter((file) => ALONE.includes(file)),
    1,
  )),
]
// What failed beside others, on cores that were busy, is asked once more alone; what fails again has failed. Both are told.
const isOf = (file) => (result) => result.name.startsWith(`${file}: `)
const again = files.filter((file) => results.some((result) => result.result === 'failed' && isOf(file)(result)))
const shaky = results.filter(({ result, name }) => result === 'failed' && again.some((file) => name.startsWith(`${file}: `)))
if (again.length > 0 && again.length <= AGAIN_MAX && Date.now() < deadline) {
  const second = await runTests(again, 1)
  const kept = results.filter((result) => !again.some((file) => isOf(file)(result)))
  results.splice(0, results.length, ...kept, ...second)
  for (const { name } of shaky) {
    if (!second.some((result) => result.name === name && result.result === 'failed')) console.log(`failed beside others, passed alone: ${name}`)
  }
}
const passed = results.filter(({ result }) => result === 'passed').length
const failed = [...checks.filter((name) => name !== undefined), ...results.filter(({ result }) => result === 'failed').map(({ name }) => name)]
const skipped = results.filter(({ result }) => result === 'skipped')
for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason}`)
for (const name of failed) console.log(`failed: ${name}`)
console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`)
process.exit(failed.length > 0 || passed === 0 ? 1 : 0)
