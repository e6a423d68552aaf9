/**
 * Password hashes: argon2id (RFC 9106) made and verified, scrypt (RFC 7914) verified, both as PHC strings.
 * `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, `$scrypt$ln=15,r=8,p=1$SALT$HASH`, base64 without padding.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

/** Longest password that is looked at, in bytes of UTF-8. A hash over more would cost us and prove nothing. */
export const MAX_PASSWORD_BYTES = 1024

export interface HashCost {
  /** KiB; default 19456 (19 MiB). */
  readonly memoryKib?: number
  /** Passes; default 2. */
  readonly passes?: number
}

const SALT_AND_HASH = /\$([A-Za-z0-9+/.]{11,86})\$([A-Za-z0-9+/.]{22,86})$/
const ARGON2ID = new RegExp(`^\\$argon2id\\$v=19\\$m=(\\d{1,7}),t=(\\d{1,2}),p=(\\d{1,2})${SALT_AND_HASH.source}`)
const SCRYPT = new RegExp(`^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,2}),p=(\\d{1,2})${SALT_AND_HASH.source}`)

/** What one verification may cost: a hash in users.yaml must not be able to stop the gateway. */
const MAX_MEMORY_BYTES = 256 * 2 ** 20
const MAX_PASSES = 16

/** A PHC string, taken apart. */
type Phc =
  | { readonly kind: 'argon2id'; readonly memoryKib: number; readonly passes: number; readonly lanes: number }
  | { readonly kind: 'scrypt'; readonly logN: number; readonly r: number; readonly p: number; readonly salt: Buffer; readonly hash: Buffer }

/**
 * Hashes with argon2id: 19 MiB, 2 passes, one lane (OWASP's first choice), about 90 ms of one core here.
 * @param cost cheaper for tests
 */
export async function hashPassword(password: string, cost: HashCost = {}): Promise<string> {
  return hash(password, { memoryCost: cost.memoryKib ?? 19 * 1024, timeCost: cost.passes ?? 2, parallelism: 1 })
}

/**
 * Whether `password` is the one that was hashed. Runs in libuv's thread pool; not on the main thread.
 * @returns false too for what is no hash that we know; `hashMistake` says why
 */
export async function verifyPassword(phc: string, password: string): Promise<boolean> {
  const parsed = parse(phc)
  if (typeof parsed === 'string') return false
  if (parsed.kind === 'argon2id') return verify(phc, password)
  const { logN, r, p, salt, hash: expected } = parsed
  const N = 2 ** logN
  const actual = await deriveScrypt(password, salt, expected.length, { N, r, p, maxmem: 2 * MAX_MEMORY_BYTES })
  return timingSafeEqual(actual, expected)
}

/** Why `phc` cannot be a password hash here; undefined when it can. Never repeats any of it: it may be a password. */
export function hashMistake(phc: string): string | undefined {
  const parsed = parse(phc)
  return typeof parsed === 'string' ? parsed : undefined
}

/** Algorithm and cost without salt and hash: verifications of hashes of one class take the same time. */
export function costClass(phc: string): string {
  return phc.replace(SALT_AND_HASH, '')
}

/**
 * A hash of the cost class that no password matches: salt and hash are random, made without computing any. Verifying
 * against it costs as much as against a real one.
 */
export function dummyHash(cost: string): string {
  const base64 = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `${cost}$${base64(16)}$${base64(32)}`
}

/** The cost class of `hashPassword`'s default. */
export const DEFAULT_COST_CLASS = '$argon2id$v=19$m=19456,t=2,p=1'

function parse(phc: string): Phc | string {
  const argon = ARGON2ID.exec(phc)
  if (argon) {
    const [memoryKib, passes, lanes] = argon.slice(1, 4).map(Number) as [number, number, number]
    if (lanes < 1 || passes < 1 || memoryKib < 8 * lanes) return 'is an argon2id hash whose cost is out of range'
    if (memoryKib * 1024 > MAX_MEMORY_BYTES || passes > MAX_PASSES || lanes > MAX_PASSES)
      return 'is an argon2id hash that costs more than 256 MiB, 16 passes or 16 lanes'
    return { kind: 'argon2id', memoryKib, passes, lanes }
  }
  const match = SCRYPT.exec(phc)
  if (!match) return 'is not an argon2id or scrypt hash: make one with "opserver passwd"'
  const [logN, r, p] = match.slice(1, 4).map(Number) as [number, number, number]
  if (logN < 1 || r < 1 || p < 1) return 'is a scrypt hash whose cost is out of range'
  if (128 * r * 2 ** logN > MAX_MEMORY_BYTES || p > MAX_PASSES) return 'is a scrypt hash that costs more than 256 MiB or 16 lanes'
  return { kind: 'scrypt', logN, r, p, salt: unpadded(match[4] as string), hash: unpadded(match[5] as string) }
}

/** passlib writes "." for "+". */
function unpadded(text: string): Buffer {
  return Buffer.from(text.replaceAll('.', '+'), 'base64')
}

function deriveScrypt(password: string, salt: Buffer, bytes: number, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, options, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
