/** What a pattern in the path of `scp -f` stands for: scp clients leave it to the far side. */
import { FileError, type FilePath } from '../core/files.js'
import { absolutePath, joined } from './paths.js'
import type { ScpFiles } from './scp-options.js'

const PATTERN = /[*?[]/
/** Beyond it a pattern is answered as too wide: names are held while the tree is walked. */
const MAX_MATCHES = 100_000

/**
 * The path itself when something has that very name, else what matches it, sorted as a shell would.
 * `*`, `?` and `[a-z]`, within a component; a name with a leading dot needs one in the pattern.
 * @throws FileError NO_SUCH_FILE when nothing does
 */
export async function matchingPaths(files: ScpFiles, path: FilePath): Promise<readonly FilePath[]> {
  if (!PATTERN.test(path.toString('latin1')) || (await exists(files, path))) return [path]
  let found: FilePath[] = [Buffer.from('/')]
  for (const component of components(absolutePath(path, files.home))) {
    found = (await Promise.all(found.map((folder) => step(files, folder, component)))).flat()
    if (found.length > MAX_MATCHES) throw new FileError('INVALID', `the pattern matches more than ${MAX_MATCHES} names`)
  }
  if (found.length === 0) throw new FileError('NO_SUCH_FILE', 'No such file or directory')
  return found
}

async function exists(files: ScpFiles, path: FilePath): Promise<boolean> {
  return files.lstat(path).then(
    () => true,
    (error: unknown) => {
      if (error instanceof FileError && error.code === 'NO_SUCH_FILE') return false
      throw error
    },
  )
}

function components(path: FilePath): readonly Buffer[] {
  return path
    .toString('latin1')
    .split('/')
    .filter((part) => part !== '')
    .map((part) => Buffer.from(part, 'latin1'))
}

async function step(files: ScpFiles, folder: FilePath, component: Buffer): Promise<FilePath[]> {
  const text = component.toString('latin1')
  if (!PATTERN.test(text)) return (await exists(files, joined(folder, component))) ? [joined(folder, component)] : []
  const matches = componentPattern(text)
  const names: Buffer[] = []
  try {
    for await (const entries of files.list(folder)) {
      for (const { name } of entries) if (matches(name.toString('latin1'))) names.push(name)
      if (names.length > MAX_MATCHES) throw new FileError('INVALID', `the pattern matches more than ${MAX_MATCHES} names`)
    }
  } catch (error) {
    // a file in the middle of a pattern is no folder to look into, and no failure
    if (!(error instanceof FileError) || (error.code !== 'NOT_DIRECTORY' && error.code !== 'NO_SUCH_FILE')) throw error
  }
  return names.sort(Buffer.compare).map((name) => joined(folder, name))
}

/** Bytes as latin1: "?" is one byte, as in the C locale. Linear: one point to go back to, the last `*`. */
function componentPattern(pattern: string): (name: string) => boolean {
  const tokens = tokenize(pattern)
  return (name) => {
    if (name.startsWith('.') && !pattern.startsWith('.')) return false
    let t = 0
    let star = -1
    let retry = 0
    for (let i = 0; i < name.length; ) {
      const token = tokens[t]
      if (token === '*') {
        star = t++
        retry = i
      } else if (typeof token === 'function' && token(name[i] as string)) {
        t++
        i++
      } else if (star >= 0) {
        t = star + 1
        i = ++retry
      } else return false
    }
    while (tokens[t] === '*') t++
    return t === tokens.length
  }
}

type Token = '*' | ((char: string) => boolean)
function tokenize(pattern: string): readonly Token[] {
  const tokens: Token[] = []
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] as string
    const set = char === '[' ? /^\[([!^]?)(\]?[^\]]*)\]/s.exec(pattern.slice(i)) : null
    if (char === '*') tokens.push('*')
    else if (char === '?') tokens.push(() => true)
    else if (set) {
      tokens.push(setOf(set[2] ?? '', set[1] !== ''))
      i += set[0].length - 1
    } else tokens.push((each) => each === char)
  }
  return tokens
}
function setOf(members: string, isNegated: boolean): (char: string) => boolean {
  const ranges: [string, string][] = []
  for (let i = 0; i < members.length; i++) {
    const low = members[i] as string
    const isRange = members[i + 1] === '-' && i + 2 < members.length
    ranges.push([low, isRange ? (members[i + 2] as string) : low])
    if (isRange) i += 2
  }
  return (char) => isNegated !== ranges.some(([low, high]) => low <= char && char <= high)
}
