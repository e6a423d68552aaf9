/** The list that was in force last, in a file: what a gateway starts with while Redis is away. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'

/** What is in force, in the form of rules.yaml or users.yaml. */
export interface SharedSet {
  readonly version: number
  readonly list: readonly unknown[]
}

const copySchema = z.object({ version: z.int().min(1), list: z.array(z.unknown()) })

/** Whole or not at all; 0600: users have hashes of passwords. @throws Error of the file system */
export async function writeCopy(file: string, set: SharedSet): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, `${JSON.stringify(set)}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

/** @throws Error when there is none, or it is none */
export async function readCopy(file: string): Promise<SharedSet> {
  return copySchema.parse(JSON.parse(await readFile(file, 'utf8')))
}
