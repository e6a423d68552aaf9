/** The files that users and rules come from, and whether they have changed. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { readYaml } from './document.js'

export type PartName = 'users' | 'rules'
export type PartFiles = Readonly<Record<PartName, string>>

/** Where users and rules stand: in files of their own, or in the config itself. A config that cannot be read names itself. */
export async function partFiles(file: string): Promise<PartFiles> {
  const root = await readYaml(file)
  const named = (part: PartName): string => {
    const value = 'document' in root ? root.document.at([part]) : undefined
    return typeof value === 'string' ? resolve(dirname(file), value) : file
  }
  return { users: named('users'), rules: named('rules') }
}

/** sha256 of a file's content, hex; "absent" when it cannot be read. */
export async function contentHash(file: string): Promise<string> {
  return readFile(file).then(
    (bytes) => createHash('sha256').update(bytes).digest('hex'),
    () => 'absent',
  )
}
