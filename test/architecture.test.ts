import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

/** Room -> the rooms it may import from besides itself. A file directly under src/ is a room of its own name. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  wire: ['core'],
  identity: ['core', 'wire'],
  target: ['core', 'wire'],
  policy: ['core', 'wire'],
  guard: ['core', 'wire'],
  stage: ['core', 'wire'],
  store: ['core', 'wire'],
  runtime: ['core', 'wire'],
  transfer: ['core', 'wire'],
  session: ['core', 'wire'],
  ssh: ['core', 'wire', 'session', 'transfer'],
  http: ['core', 'wire', 'session', 'transfer'],
  cli: ['core', 'wire'],
  agent: ['core', 'wire'],
  config: ['core', 'identity', 'policy'],
  // a program of the browser: it knows the API's shapes and nothing of the server
  console: ['core', 'wire'],
}
/** The composition root and the programs around it. */
const OPEN_ROOMS = new Set(['build', 'main', 'demo', 'certs', 'passwd', 'config', 'native'])
/** Packages that only one room may know. */
const OWNED_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  ssh2: ['ssh', 'transfer'],
  '@kubernetes/client-node': ['runtime', 'target', 'build'],
  dockerode: ['agent', 'target'],
  ioredis: ['store'],
  'node-pty': ['agent'],
  pino: ['core'],
  fastify: ['http'],
  unbash: ['policy'],
  koffi: ['agent'],
  'better-sqlite3': ['store'],
  '@aws-sdk/client-s3': ['store'],
  'age-encryption': ['store', 'cli'],
  jose: ['identity'],
  'tar-stream': ['runtime', 'agent'],
  '@xterm/headless': ['stage', 'wire'],
}

function sources(): string[] {
  return ['src', 'agent'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name))
      .map((name) => join(folder, name)),
  )
}
function roomOf(file: string): string {
  const [top, second] = file.split('/')
  return top === 'agent' ? 'agent' : (second as string).replace(/\.tsx?$/, '')
}
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^\s*(?:import|export)\s[^'"]*?from '([^']+)'|^\s*import '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    (m) => (m[1] ?? m[2] ?? m[3]) as string,
  )
}
function localTarget(file: string, specifier: string): string {
  return relative('.', normalize(join(dirname(file), specifier))).replace(/\.js$/, '.ts')
}

test('every import follows the direction table', () => {
  const wrong: string[] = []
  for (const file of sources()) {
    const room = roomOf(file)
    for (const specifier of importsOf(file)) {
      if (!specifier.startsWith('.')) continue
      const target = roomOf(localTarget(file, specifier))
      if (target === room || OPEN_ROOMS.has(room)) continue
      if (!MAY_IMPORT[room]?.includes(target)) wrong.push(`${file} (${room}) imports ${specifier} (${target})`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('a package that one room owns is imported nowhere else', () => {
  const wrong: string[] = []
  for (const file of sources()) {
    for (const specifier of importsOf(file)) {
      const name = specifier.startsWith('@') ? specifier.split('/').slice(0, 2).join('/') : (specifier.split('/')[0] as string)
      const rooms = OWNED_PACKAGES[name]
      if (rooms && !rooms.includes(roomOf(file))) wrong.push(`${file} imports ${name}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('no chain of imports comes back to where it began', () => {
  const graph = new Map(
    sources().map((file) => [
      file,
      importsOf(file)
        .filter((s) => s.startsWith('.'))
        .map((s) => localTarget(file, s)),
    ]),
  )
  const done = new Set<string>()
  const cycles: string[] = []
  const walk = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
    if (done.has(file) || path.includes(file)) return
    for (const next of graph.get(file) ?? []) walk(next, [...path, file])
    done.add(file)
  }
  for (const file of graph.keys()) walk(file, [])
  assert.deepEqual(cycles, [])
})

test('there are no barrels and no default exports', () => {
  const wrong = sources().filter((file) => file.endsWith('/index.ts') || /^export default /m.test(readFileSync(join(root, file), 'utf8')))
  assert.deepEqual(wrong, [])
})
