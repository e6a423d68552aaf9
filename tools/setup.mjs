// What both `npm start` and `npm test` do first on any clone: the right Node, the packages of the lock file, a build.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..')

/** Runs a command with its output shown; a failure ends this process with the command's exit status. */
export function must(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (status === 0) return
  console.error(`${command} ${args.join(' ')}: ${error?.message ?? (signal ? `killed by ${signal}` : `exit status ${status}`)}`)
  process.exit(status ?? 1)
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`Node ${process.versions.node} is too old: this needs ${engines.node}`)
    process.exit(1)
  }
}

/** npm writes node_modules/.package-lock.json last, so it tells whether an install has finished and for which lock file. */
function installIfNeeded() {
  const done = join(root, 'node_modules/.package-lock.json')
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs) return
  console.error('installing packages')
  // not `npm ci`: it refuses a lock file without the packages for other platforms, which registries need not have.
  // Versions are those of the lock file all the same, and nothing is written to it.
  must('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: ['ignore', 2, 2] })
}

/** Installs and builds; progress goes to stderr, so that stdout begins with the program's own ready line. */
export function setUp() {
  checkNode()
  installIfNeeded()
  console.error('building')
  must(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], { stdio: ['ignore', 2, 2] })
  must(process.execPath, [join(root, 'tools/build-console.mjs')], { stdio: ['ignore', 2, 2] })
}
