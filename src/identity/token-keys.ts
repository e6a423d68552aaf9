/**
 * The Ed25519 keys that sign tokens: DATA/state/token_keys.json, 0600. The newest signs, the two newest are accepted, so that
 * tokens outlive a rotation by far longer than they live.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import { z } from 'zod'
import { OpsError } from '../core/errors.js'

export interface SigningKey {
  readonly id: string
  readonly createdMs: number
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

/** How many keys are accepted: the one that signs, and the one before it. */
const KEPT = 2
export const TOKEN_ALGORITHM = 'EdDSA'

const fileSchema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        id: z.string().min(1),
        created: z.iso.datetime(),
        jwk: z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), d: z.string() }),
      }),
    )
    .min(1),
})
type KeyFile = z.output<typeof fileSchema>

export class TokenKeys {
  readonly #path: string
  readonly #rotateMs: number
  readonly #now: () => number
  #keys: readonly SigningKey[]
  #file: KeyFile
  #rotating: Promise<void> | undefined

  private constructor(path: string, rotateMs: number, now: () => number, file: KeyFile, keys: readonly SigningKey[]) {
    this.#path = path
    this.#rotateMs = rotateMs
    this.#now = now
    this.#file = file
    this.#keys = keys
  }

  /**
   * Reads the keys, or makes the first.
   * @param rotateMs age at which a new key takes over; 30 days
   * @throws OpsError CONFIG_INVALID when others may read the file, or it holds no keys
   */
  static async load(path: string, options: { readonly rotateMs?: number; readonly now?: () => number } = {}): Promise<TokenKeys> {
    const now = options.now ?? Date.now
    const found = await readFileOf(path)
    const file = found ?? { keys: [await freshKey(now())] }
    if (!found) await store(path, file)
    return new TokenKeys(path, options.rotateMs ?? 30 * 86_400_000, now, file, await imported(file))
  }

  /** The key that signs; a new one when it has become old. */
  async signer(): Promise<SigningKey> {
    if (this.#now() - this.#newest().createdMs >= this.#rotateMs) await this.rotate()
    return this.#newest()
  }

  /** An accepted key by its id. */
  find(id: string): SigningKey | undefined {
    return this.#keys.find((key) => key.id === id)
  }

  /** A new key signs from now on; the oldest beyond two is forgotten, and with it what it signed. */
  rotate(): Promise<void> {
    this.#rotating ??= this.#rotateNow().finally(() => {
      this.#rotating = undefined
    })
    return this.#rotating
  }

  async #rotateNow(): Promise<void> {
    const file = { keys: [await freshKey(this.#now()), ...this.#file.keys].slice(0, KEPT) }
    await store(this.#path, file)
    this.#keys = await imported(file)
    this.#file = file
  }

  #newest(): SigningKey {
    const [newest] = this.#keys
    if (!newest) throw new OpsError('INTERNAL', 'no token key')
    return newest
  }
}

async function freshKey(nowMs: number): Promise<KeyFile['keys'][number]> {
  const { privateKey } = await generateKeyPair(TOKEN_ALGORITHM, { crv: 'Ed25519', extractable: true })
  const { x = '', d = '' } = await exportJWK(privateKey)
  return { id: randomBytes(8).toString('hex'), created: new Date(nowMs).toISOString(), jwk: { kty: 'OKP', crv: 'Ed25519', x, d } }
}

function imported({ keys }: KeyFile): Promise<SigningKey[]> {
  return Promise.all(
    keys.slice(0, KEPT).map(async ({ id, created, jwk }) => {
      const { d: _, ...open } = jwk
      return { id, createdMs: Date.parse(created), privateKey: await keyOf(jwk), publicKey: await keyOf(open) }
    }),
  )
}

async function keyOf(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, TOKEN_ALGORITHM)
  if (key instanceof Uint8Array) throw new OpsError('CONFIG_INVALID', 'a token key is symmetric')
  return key
}

async function readFileOf(path: string): Promise<KeyFile | undefined> {
  let text: string
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) throw new OpsError('CONFIG_INVALID', `Cannot use token keys "${path}": others may read them, make the file 0600`)
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const parsed = fileSchema.safeParse(jsonOf(text))
  if (!parsed.success) throw new OpsError('CONFIG_INVALID', `Cannot use token keys "${path}": ${parsed.error.issues[0]?.message}`)
  return parsed.data
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the schema refuses it
  }
}

/** Whole or not at all, on disk before anybody signs with it. */
async function store(path: string, file: KeyFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const handle = await open(`${path}.new`, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(file, null, 1)}\n`)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.new`, path)
}
