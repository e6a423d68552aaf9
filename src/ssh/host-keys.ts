/** The gateway's own keys: loaded, or created when absent, with their modes checked. */
import { createHash, randomBytes } from 'node:crypto'
import { link, lstat, mkdir, open, readFile, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { OpsError } from '../core/errors.js'
import { loadSsh2 } from './hardening/load.js'
import { type HostKeyType, newPrivateKey } from './private-key.js'
import type { ParsedKey, Ssh2Library } from './transport.js'

export interface HostKey {
  readonly path: string
  readonly type: HostKeyType
  /** As ssh prints it: "SHA256:…". */
  readonly fingerprint: string
  /** One line of known_hosts or authorized_keys, without host. */
  readonly publicKey: string
  /** OpenSSH format. */
  readonly privateKey: string
  /** True when this call made the key: clients have never seen it. */
  readonly created: boolean
}

const TYPES: readonly HostKeyType[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256']
const PRIVATE_MODE = 0o600
const FOLDER_MODE = 0o700
const FORBIDDEN_BITS = 0o077

/**
 * Loads each key in order; one that does not exist is created (0600, in a folder created 0700): ECDSA P-256 when its file
 * name says "ecdsa", else ed25519. Two gateways that start at once agree on one key.
 * @throws OpsError CONFIG_INVALID naming the file: readable by others, encrypted, RSA or DSA, not a key, two of one type
 */
export async function loadHostKeys(paths: readonly string[], library: Ssh2Library = loadSsh2()): Promise<readonly HostKey[]> {
  if (paths.length === 0) throw new OpsError('CONFIG_INVALID', 'Cannot start the SSH server: no host key is configured')
  const keys: HostKey[] = []
  for (const path of paths) {
    const key = await loadOrCreate(path, library)
    const twin = keys.find((other) => other.type === key.type)
    if (twin) throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": "${twin.path}" is also of type ${key.type}`)
    keys.push(key)
  }
  return keys
}

async function loadOrCreate(path: string, library: Ssh2Library): Promise<HostKey> {
  const created = !(await exists(path)) && (await create(path))
  await checkMode(path)
  const text = await readFile(path, 'utf8')
  return { ...describe(path, text, library), created }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false
    throw new OpsError('CONFIG_INVALID', `Cannot read host key "${path}": ${String(error)}`, { cause: error })
  }
}

async function checkMode(path: string): Promise<void> {
  const found = await lstat(path)
  if (!found.isFile()) throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": it is not a plain file`)
  const mode = found.mode & 0o777
  if ((mode & FORBIDDEN_BITS) !== 0) {
    throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": its mode 0${mode.toString(8)} lets others read it, make it 0600`)
  }
}

/** Written whole under another name, then linked: nobody ever reads half a key, and the first of two creators wins. */
async function create(path: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
  const text = newPrivateKey(basename(path).includes('ecdsa') ? 'ecdsa-sha2-nistp256' : 'ssh-ed25519')
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = await open(draft, 'wx', PRIVATE_MODE)
  try {
    await file.writeFile(text)
    await file.sync()
    await link(draft, path)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw new OpsError('CONFIG_INVALID', `Cannot create host key "${path}": ${String(error)}`, { cause: error })
  } finally {
    await file.close()
    await rm(draft, { force: true })
  }
}

function describe(path: string, text: string, library: Ssh2Library): Omit<HostKey, 'created'> {
  const key = privateKey(path, text, library)
  const type = TYPES.find((known) => known === key.type)
  if (!type) throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": it is of type ${key.type}, use ${TYPES.join(' or ')}`)
  const blob = key.getPublicSSH()
  return { path, type, fingerprint: fingerprintOf(blob), publicKey: `${type} ${blob.toString('base64')}`, privateKey: text }
}

function privateKey(path: string, text: string, library: Ssh2Library): ParsedKey {
  const parsed = library.parseKey(text)
  if (parsed instanceof Error) throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": ${parsed.message}`, { cause: parsed })
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  if (!key || key.getPrivatePEM() === null) throw new OpsError('CONFIG_INVALID', `Cannot use host key "${path}": it is not a private key`)
  return key
}

/** SHA-256 of the wire form, base64 without padding, as ssh-keygen -l prints it. */
export function fingerprintOf(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
