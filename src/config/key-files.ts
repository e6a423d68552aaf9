/** What the configuration points at: whether it is there, can be read, and is kept from others. */
import { access, constants, stat } from 'node:fs/promises'
import type { YamlDocument } from './document.js'
import type { Findings } from './findings.js'

export interface FileClaim {
  /** The key that names the file. */
  readonly document: YamlDocument
  readonly path: readonly PropertyKey[]
  readonly file: string
  /**
   * "private": a private key, which nobody but the owner may read. "private when there": the same, made at the first
   * start. "credentials": read by other tools too, which write it as they like: a warning. "public": must be readable.
   */
  readonly kind: 'private' | 'private when there' | 'credentials' | 'public'
}

const OTHERS = 0o077

/** Adds a mistake (or a warning) for each claim that does not hold. */
export async function checkFiles(claims: readonly FileClaim[], findings: Findings): Promise<void> {
  for (const claim of claims) await checkFile(claim, findings)
}

async function checkFile({ document, path, file, kind }: FileClaim, findings: Findings): Promise<void> {
  const mistake = (message: string): void => findings.mistake(document, path, message)
  const found = await lookAt(file)
  if (typeof found === 'string') {
    const isToBeMade = found === 'ENOENT' && kind === 'private when there'
    if (!isToBeMade) mistake(found === 'ENOENT' ? `names "${file}", which does not exist` : `names "${file}", which cannot be read: ${found}`)
    return
  }
  if (!found.isFile) return mistake(`names "${file}", which is not a file`)
  const others = found.mode & OTHERS
  if (others === 0 || kind === 'public') return
  const mode = `0${found.mode.toString(8).padStart(3, '0')}`
  const message = `names "${file}", which others than its owner may use (mode ${mode}): chmod 600 it`
  if (kind === 'credentials') findings.warning(document, path, message)
  else mistake(message)
}

/** @returns the code of what went wrong, as text */
async function lookAt(file: string): Promise<{ readonly isFile: boolean; readonly mode: number } | string> {
  try {
    const found = await stat(file)
    await access(file, constants.R_OK)
    return { isFile: found.isFile(), mode: found.mode & 0o777 }
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}
