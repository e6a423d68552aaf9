/** Where a copy comes from and goes to: `POD:PATH` or a local path. Pure. */
import { UsageError } from '../problem.js'

export type Place = { readonly kind: 'local'; readonly path: string } | { readonly kind: 'remote'; readonly target: string; readonly path: string }

/** As scp reads it: a colon before any slash marks a pod. `./a:b` is local. `-` is stdin or stdout. */
export function parsePlace(text: string): Place {
  // cluster/namespace/pod:path has slashes before its colon
  const match = /^([^/:.][^/:]*|[^/:.]+(?:\/[^/:]+){2,3}):(.*)$/s.exec(text)
  if (!match) return { kind: 'local', path: text }
  const [, target = '', path = ''] = match
  return { kind: 'remote', target, path: path === '' ? '.' : path }
}

/** The last component; "" for "/", "." and "..". */
export function baseName(path: string): string {
  const name = path.replace(/\/+$/, '').replace(/.*\//s, '')
  return name === '.' || name === '..' ? '' : name
}

/** `dir/name` without doubled slashes. */
export function joined(dir: string, name: string): string {
  return name === '' ? dir : dir === '.' ? name : `${dir.replace(/\/+$/, '')}/${name}`
}

/** A name that a pod gave is one component, or the copy could be led elsewhere. @throws UsageError */
export function checkedName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) throw new UsageError(`the pod names a file "${name}", which is no name`, 255)
  if (name.includes('\ufffd')) throw new UsageError(`"${name}" is not UTF-8, and cannot be asked for over HTTP: use scp or a tar`, 255)
  return name
}
