/**
 * Makes new private keys in OpenSSH's own format (PROTOCOL.key of OpenSSH). Not with ssh2's generator: about one in 200 of its
 * ed25519 keys cannot be read back.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'

/** ssh2 would offer SHA-1 signatures beside any RSA host key, so there are only these two. */
export type HostKeyType = 'ssh-ed25519' | 'ecdsa-sha2-nistp256'

const BLOCK_BYTES = 8
const LINE_CHARS = 70

/** @returns PEM text, not encrypted */
export function newPrivateKey(type: HostKeyType): string {
  const { publicFields, privateFields } = type === 'ssh-ed25519' ? ed25519() : ecdsa()
  const check = randomBytes(4)
  const secret = Buffer.concat([check, check, ...[type, ...publicFields, ...privateFields, ''].map(string)])
  const padding = Buffer.from(Array.from({ length: (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES }, (_, index) => index + 1))
  const one = Buffer.from([0, 0, 0, 1])
  const publicKey = Buffer.concat([type, ...publicFields].map(string))
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(string),
    one,
    string(publicKey),
    string(Buffer.concat([secret, padding])),
  ]).toString('base64')
  const lines = body.match(new RegExp(`.{1,${LINE_CHARS}}`, 'g')) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

interface KeyFields {
  readonly publicFields: readonly (string | Buffer)[]
  readonly privateFields: readonly (string | Buffer)[]
}

function ed25519(): KeyFields {
  const { x, d } = jwkOf(generateKeyPairSync('ed25519'))
  return { publicFields: [x], privateFields: [Buffer.concat([d, x])] }
}

function ecdsa(): KeyFields {
  const { x, y, d } = jwkOf(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }))
  return { publicFields: ['nistp256', Buffer.concat([Buffer.from([4]), x, y])], privateFields: [mpint(d)] }
}

/** The fixed-width numbers of a JSON Web Key. */
function jwkOf({ privateKey }: ReturnType<typeof generateKeyPairSync>): Record<'x' | 'y' | 'd', Buffer> {
  const { x = '', y = '', d = '' } = privateKey.export({ format: 'jwk' }) as Record<string, string | undefined>
  return { x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url'), d: Buffer.from(d, 'base64url') }
}

/** RFC 4251 s5: length and bytes. */
function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** RFC 4251 s5: no leading zeros, but one where the number would look negative. */
function mpint(value: Buffer): Buffer {
  const first = value.findIndex((byte) => byte !== 0)
  const bare = value.subarray(first < 0 ? value.length : first)
  return bare.length > 0 && (bare[0] as number) >= 0x80 ? Buffer.concat([Buffer.from([0]), bare]) : bare
}
