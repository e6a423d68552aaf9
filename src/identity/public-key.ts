/**
 * Public keys as authorized_keys files write them (sshd(8)) and as clients send them (RFC 4253 s6.6, RFC 5656 s3.1,
 * RFC 8709 s4, RFC 8332 s3).
 */
import { createHash } from 'node:crypto'

/** A key that may log in. */
export interface AuthorizedKey {
  /** The key's type, which its signature algorithm must fit: "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", … */
  readonly type: string
  /** Wire form in base64, one spelling per key. */
  readonly blob: string
  readonly comment: string
}

/** RSA below this is refused, as NIST SP 800-131A has it. */
const MIN_RSA_BITS = 2048
/** A longer one costs us more than it is worth to verify; OpenSSH's own limit. */
const MAX_RSA_BITS = 16384

/** Key type -> the signature algorithms it may be used with. SHA-1 "ssh-rsa" signatures are not among them. */
const SIGNATURES: Readonly<Record<string, readonly string[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-256', 'rsa-sha2-512'],
}
/** Curve name and length of an uncompressed point, per ECDSA type. */
const CURVES: Readonly<Record<string, readonly [curve: string, pointBytes: number]>> = {
  'ecdsa-sha2-nistp256': ['nistp256', 65],
  'ecdsa-sha2-nistp384': ['nistp384', 97],
  'ecdsa-sha2-nistp521': ['nistp521', 133],
}

/**
 * Reads one line of an authorized_keys file: `TYPE BASE64 [COMMENT]`. Options before the type are refused: those we do
 * not honour (`from=`, `command=`) would otherwise seem to protect.
 * @throws RangeError saying what is wrong, fit for a config mistake
 */
export function parseAuthorizedKey(line: string): AuthorizedKey {
  const [type = '', base64 = '', ...comment] = line.trim().split(/[ \t]+/)
  if (type.includes('BEGIN') || base64.includes('PRIVATE')) throw new RangeError('a private key does not belong here: give the line of its .pub file')
  if (type.startsWith('sk-')) throw new RangeError(`keys of type ${type} are not supported yet`)
  if (/-cert-v\d/.test(type)) throw new RangeError('certificates are not supported yet: give the plain key')
  if (type === 'ssh-dss') throw new RangeError('ssh-dss keys are too weak: use ssh-ed25519')
  if (!Object.hasOwn(SIGNATURES, type)) {
    throw new RangeError(`must start with the key's type, one of ${Object.keys(SIGNATURES).join(', ')}; options before it are not supported`)
  }
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new RangeError('the key is not base64')
  const blob = Buffer.from(base64, 'base64')
  const mistake = blobMistake(type, blob)
  if (mistake) throw new RangeError(mistake)
  return { type, blob: blob.toString('base64'), comment: comment.join(' ') }
}

/** Whether `algorithm` is one that a key of `type` signs with and that we accept. */
export function isSignatureOf(algorithm: string, type: string): boolean {
  return Object.hasOwn(SIGNATURES, type) && (SIGNATURES[type]?.includes(algorithm) ?? false)
}

/** As `ssh-keygen -l` prints it: "SHA256:…". @param blob wire form */
export function fingerprint(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

function blobMistake(type: string, blob: Buffer): string | undefined {
  const fields = readStrings(blob)
  if (!fields || fields[0]?.toString('latin1') !== type) return `the key is cut short or is not of type ${type}`
  if (type === 'ssh-ed25519') return fields.length === 2 && fields[1]?.length === 32 ? undefined : 'the key is not an ed25519 key'
  if (type === 'ssh-rsa') return rsaMistake(fields)
  const [curve, pointBytes] = CURVES[type] ?? []
  const fits = fields.length === 3 && fields[1]?.toString('latin1') === curve && fields[2]?.length === pointBytes && fields[2]?.[0] === 4
  return fits ? undefined : `the key is not a point on ${curve}`
}
function rsaMistake(fields: readonly Buffer[]): string | undefined {
  const [, exponent, modulus] = fields
  if (fields.length !== 3 || !exponent || !modulus) return 'the key is not an RSA key'
  const bits = bitLength(modulus)
  if (bits < MIN_RSA_BITS) return `an RSA key of ${bits} bits is too weak: at least ${MIN_RSA_BITS}`
  if (bits > MAX_RSA_BITS) return `an RSA key of ${bits} bits is too long: at most ${MAX_RSA_BITS}`
  return bitLength(exponent) >= 2 && ((exponent.at(-1) ?? 0) & 1) === 1 ? undefined : 'the exponent of this RSA key is not valid'
}
/** Of a positive mpint. */
function bitLength(mpint: Buffer): number {
  const first = mpint.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (mpint.length - first) * 8 - (Math.clz32(mpint[first] ?? 0) - 24)
}
/** Splits into RFC 4251 strings; undefined when the lengths do not add up. */
function readStrings(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = []
  for (let offset = 0; offset < blob.length; ) {
    if (offset + 4 > blob.length) return undefined
    const end = offset + 4 + blob.readUInt32BE(offset)
    if (end > blob.length) return undefined
    fields.push(blob.subarray(offset + 4, end))
    offset = end
  }
  return fields
}
