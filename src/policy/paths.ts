/**
 * Paths as the policy compares them: absolute, "." and ".." resolved by text. Links are the target's to resolve, so a
 * path rule holds for names, not for inodes.
 */
import { posix } from 'node:path'

/** Where programs may be started from by path, and where nothing may be written by redirection. */
export const PROGRAM_DIRECTORIES: ReadonlySet<string> = new Set(['/bin', '/usr/bin', '/sbin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin'])

/** `/proc/<pid>/root` is `/` by another name. */
const ROOT_ALIAS = /^\/proc\/(?:self|thread-self|\d+)(?:\/task\/\d+)?\/root(?=\/|$)/
const CWD_ALIAS = /^\/proc\/(?:self|thread-self|\d+)(?:\/task\/\d+)?\/cwd(?=\/|$)/

/** One absolute spelling of `path`: doubled slashes joined, dots resolved, aliases of `/` and of the directory undone. */
export function absolute(path: string, cwd: string): string {
  let result = posix.normalize(path.startsWith('/') ? path : `${cwd}/${path}`).replace(/^\/\//, '/')
  for (let rounds = 0; rounds < 8; rounds++) {
    const next = result.replace(ROOT_ALIAS, '').replace(CWD_ALIAS, cwd)
    if (next === result) break
    result = posix.normalize(next === '' ? '/' : next).replace(/^\/\//, '/')
  }
  return result.length > 1 ? result.replace(/\/+$/, '') : result
}

/** Names that programs and loaders are taken from, or that reach processes and devices; writing there gives away the shell. */
const PROTECTED =
  /^\/(?:proc|dev|sys)(?:\/|$)|^\/(?:usr\/(?:local\/)?)?(?:s?bin|lib(?:32|64|x32|exec)?)(?:\/|$)|^\/etc\/(?:ld\.so\.|sudoers|gitconfig|cron)|^\/var\/spool\/cron(?:\/|$)|\/\.git\/(?:config|hooks|info|modules)(?:[./]|$)|\/\.git$|\/\.gitconfig$|\/\.config\/git\//
/** Of /dev, what an output redirection may name: it leads back to the terminal or nowhere. */
const HARMLESS_DEVICES: ReadonlySet<string> = new Set([
  '/dev/null',
  '/dev/stdout',
  '/dev/stderr',
  '/dev/tty',
  '/dev/fd/1',
  '/dev/fd/2',
  '/proc/self/fd/1',
  '/proc/self/fd/2',
  // The log of the container: what its first process prints.
  '/proc/1/fd/1',
  '/proc/1/fd/2',
  '/dev/full',
  '/dev/zero',
])

/** True for an absolute path that no command line may write to. */
export function isProtected(path: string): boolean {
  return PROTECTED.test(path) && !HARMLESS_DEVICES.has(path)
}

/** Folders through which programs, their settings or a repository's are reached; another name for one is a way around `isProtected`. */
const PLACE = /^\/(?:usr(?:\/local)?|etc)?$|^\/(?:usr\/(?:local\/)?)?(?:s?bin|lib(?:32|64|x32|exec)?)$|\/\.git$/
/** True for an absolute path to which no link may be made. */
export function isProtectedPlace(path: string): boolean {
  return PLACE.test(path)
}
