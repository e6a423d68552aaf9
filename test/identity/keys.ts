/** Real key pairs in SSH's forms. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

export interface TestKey {
  readonly type: string
  /** Wire form. */
  readonly blob: Buffer
  /** Line of a .pub file. */
  readonly line: string
  sign(data: Buffer): Buffer
  readonly publicKey: KeyObject
}

function fields(...values: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const bytes = Buffer.from(value)
      const length = Buffer.alloc(4)
      length.writeUInt32BE(bytes.length)
      return [length, bytes]
    }),
  )
}
function mpint(base64url: string | undefined): Buffer {
  const bytes = Buffer.from(base64url ?? '', 'base64url')
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes
}
function testKey(type: string, blob: Buffer, { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): TestKey {
  return {
    type,
    blob,
    publicKey,
    line: `${type} ${blob.toString('base64')} test@here`,
    sign: (data) => sign(type.includes('25519') ? null : 'sha256', data, privateKey),
  }
}

export function ed25519(): TestKey {
  const pair = generateKeyPairSync('ed25519')
  const { x } = pair.publicKey.export({ format: 'jwk' })
  return testKey('ssh-ed25519', fields('ssh-ed25519', Buffer.from(x ?? '', 'base64url')), pair)
}
export function ecdsa(bits: 256 | 384 | 521): TestKey {
  const pair = generateKeyPairSync('ec', { namedCurve: `P-${bits}` })
  const { x, y } = pair.publicKey.export({ format: 'jwk' })
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(x ?? '', 'base64url'), Buffer.from(y ?? '', 'base64url')])
  const type = `ecdsa-sha2-nistp${bits}`
  return testKey(type, fields(type, `nistp${bits}`, point), pair)
}
export function rsa(bits: number): TestKey {
  const pair = generateKeyPairSync('rsa', { modulusLength: bits })
  const { n, e } = pair.publicKey.export({ format: 'jwk' })
  return testKey('ssh-rsa', fields('ssh-rsa', mpint(e), mpint(n)), pair)
}
export { fields as sshFields }
