/**
 * Loads ssh2 with our changes, in an instance of its own: Node's module cache is left alone, so another package that uses ssh2
 * (dockerode does) keeps the original, and loading it first or last makes no difference.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { compileFunction } from 'node:vm'
import type { Ssh2Library } from '../transport.js'
import { hybridExchange } from './hybrid-kex.js'
import { paddingFiller } from './padding.js'
import { INJECTED_NAME, SOURCE_EDITS, type SourceEdit } from './source-edits.js'
import { SSH2_FILES, SSH2_VERSION } from './source-pins.js'

type Exports = Record<string, unknown>

/** What edited sources use of ours. */
const INJECTED = { hybridExchange, paddingFiller }

/** Where the package is, and what it should be; tests give another one. */
export interface Ssh2Source {
  /** Folder of ssh2's package.json. */
  readonly root: string
  readonly read: (file: string) => string
  readonly version: string
  readonly files: Readonly<Record<string, string>>
  readonly edits: Readonly<Record<string, readonly SourceEdit[]>>
}

export function installedSsh2(): Ssh2Source {
  const root = dirname(createRequire(import.meta.url).resolve('ssh2/package.json'))
  return { root, read: (file) => readFileSync(file, 'utf8'), version: SSH2_VERSION, files: SSH2_FILES, edits: SOURCE_EDITS }
}

/**
 * Takes about 20 ms; a process needs it once.
 * @throws Error naming the file and the version when ssh2 is not what was tested, or when an edit does not fit
 */
export function loadSsh2(source: Ssh2Source = installedSsh2()): Ssh2Library {
  checkVersion(source)
  const load = privateLoader(source)
  const library: object = {
    Server: load('server.js'),
    Client: load('client.js'),
    ...load('protocol/keyParser.js'),
    bindingAvailable: load('protocol/crypto.js').bindingAvailable,
  }
  if (!isLibrary(library)) throw new Error(`ssh2 ${source.version} in ${source.root} does not export what this gateway uses of it`)
  return library
}

const EXPECTED_EXPORTS = { Server: 'function', Client: 'function', parseKey: 'function', bindingAvailable: 'boolean' }

function isLibrary(library: object): library is Ssh2Library {
  const found: Exports = { ...library }
  return Object.entries(EXPECTED_EXPORTS).every(([name, kind]) => typeof found[name] === kind)
}

function checkVersion({ root, read, version }: Ssh2Source): void {
  const found: unknown = JSON.parse(read(join(root, 'package.json'))).version
  if (found !== version)
    throw new Error(`ssh2 in ${root} has version ${String(found)}: this gateway was tested with ${version} and changes its sources, install that one`)
}

/** A CommonJS loader for the files below ssh2/lib; everything else goes to Node. */
function privateLoader(source: Ssh2Source): (file: string) => Exports {
  const lib = join(source.root, 'lib')
  const nodeRequire = createRequire(join(lib, 'index.js'))
  const cache = new Map<string, { exports: Exports }>()

  const load = (file: string): Exports => {
    const known = cache.get(file)
    if (known) return known.exports
    const module = { exports: {} as Exports }
    cache.set(file, module)
    const path = join(lib, file)
    const run = compileFunction(checkedSource(source, file), ['exports', 'require', 'module', '__filename', '__dirname', INJECTED_NAME], { filename: path })
    run.call(module.exports, module.exports, requireFrom(dirname(path)), module, path, dirname(path), INJECTED)
    return module.exports
  }
  const requireFrom = (folder: string) => (name: string) => {
    if (!name.startsWith('.')) return nodeRequire(name)
    const path = resolve(folder, name)
    const file = relative(lib, path.endsWith('.js') || path.endsWith('.json') || path.endsWith('.node') ? path : `${path}.js`)
    // The compiled binding, its WebAssembly stand-in and package.json are as built here; they hold none of our edits.
    return file.startsWith('..') || file.startsWith('protocol/crypto/') ? nodeRequire(path) : load(file)
  }
  return load
}

function checkedSource({ root, read, version, files, edits }: Ssh2Source, file: string): string {
  const path = join(root, 'lib', file)
  const text = read(path)
  const hash = createHash('sha256').update(text).digest('hex')
  if (files[file] !== hash)
    throw new Error(
      `${path} is not the file of ssh2 ${version} that was tested (SHA-256 ${hash}, expected ${files[file] ?? 'none'}): reinstall ssh2 ${version}`,
    )
  return (edits[file] ?? []).reduce((edited, edit) => applyEdit(edited, edit, `${path} of ssh2 ${version}`), text)
}

/** @throws Error when `edit.find` is not there exactly once */
export function applyEdit(text: string, edit: SourceEdit, where: string): string {
  const first = text.indexOf(edit.find)
  if (first < 0) throw new Error(`${where}: the lines to change are not there (${edit.why})`)
  if (text.indexOf(edit.find, first + 1) >= 0) throw new Error(`${where}: the lines to change are there more than once (${edit.why})`)
  return text.slice(0, first) + edit.replace + text.slice(first + edit.find.length)
}
