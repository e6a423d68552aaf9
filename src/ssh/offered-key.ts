/** A public key as a client offers it: the algorithm we accept, its key in canonical form, and the check of its signature. */
import type { Ssh2AuthContext, Ssh2Library } from './transport.js'

export interface OfferedKey {
  /** As the client named it: RSA says which hash, "rsa-sha2-512". */
  readonly algorithm: string
  /** Wire form, RFC 4253 s6.6. */
  readonly key: Buffer
  /** Absent while the client only asks (RFC 4252 s7). */
  readonly verify?: () => boolean
}

const KEY_TYPES = new Set(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'])
/** Key type ssh-rsa: hash of the signature -> algorithm (RFC 8332). SHA-1 has no entry. */
const RSA_ALGORITHMS: Readonly<Record<string, string>> = { sha256: 'rsa-sha2-256', sha512: 'rsa-sha2-512' }
const MIN_RSA_BITS = 2048
/** OpenSSH's own limit; verifying costs with the cube of it. */
const MAX_RSA_BITS = 16384

/** @returns the reason when the key cannot be used here at all */
export function offeredKey(context: Ssh2AuthContext, library: Pick<Ssh2Library, 'parseKey'>): OfferedKey | string {
  const { key, hashAlgo, signature, blob } = context
  if (!key) return 'the request has no key'
  if (!KEY_TYPES.has(key.algo)) return 'the key algorithm is not accepted'
  const algorithm = key.algo === 'ssh-rsa' ? RSA_ALGORITHMS[hashAlgo ?? ''] : key.algo
  if (!algorithm) return 'ssh-rsa signatures use SHA-1, which is not accepted'
  // ssh2's parser also takes text forms; the wire form of this very type is the only one a client may send.
  if (stringAt(key.data, 0)?.toString('latin1') !== key.algo) return 'the key is not of the named type'
  const parsed = library.parseKey(key.data)
  if (parsed instanceof Error || Array.isArray(parsed)) return 'the key cannot be read'
  // One key has one form: a second spelling of it would be another entry for whoever compares keys by bytes.
  if (parsed.type !== key.algo || !parsed.getPublicSSH().equals(key.data)) return 'the key is not in its canonical form'
  if (key.algo === 'ssh-rsa') {
    const bits = rsaBits(key.data)
    if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) return `RSA keys must have ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits`
  }
  if (!signature || !blob) return { algorithm, key: key.data }
  return { algorithm, key: key.data, verify: () => parsed.verify(blob, signature, hashAlgo) === true }
}

/** Bits of the modulus, the third field: type, exponent, modulus. 0 when the key is cut short. */
export function rsaBits(key: Buffer): number {
  const type = stringAt(key, 0)
  const exponent = type && stringAt(key, 4 + type.length)
  const modulus = exponent && stringAt(key, 8 + type.length + exponent.length)
  if (!modulus) return 0
  const first = modulus.findIndex((byte) => byte !== 0)
  if (first < 0) return 0
  return (modulus.length - first) * 8 - Math.clz32(modulus[first] as number) + 24
}

/** An SSH string: length, then bytes (RFC 4251 s5). Undefined when it runs past the end. */
function stringAt(data: Buffer, offset: number): Buffer | undefined {
  if (offset + 4 > data.length) return undefined
  const end = offset + 4 + data.readUInt32BE(offset)
  return end > data.length ? undefined : data.subarray(offset + 4, end)
}
