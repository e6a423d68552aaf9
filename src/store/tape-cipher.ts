/**
 * Encryption at rest. Each recording has a key of its own (32 random bytes, AES-256-GCM), wrapped by a key from a file, or for an
 * age recipient, or both; each block (a gzip member) is sealed by itself, so that a reader can still seek.
 *   "dockin-tape-1\n" <JSON of the wrapped keys> "\n", then blocks: <bytes u32le> <start ms u32le> <ciphertext> <tag 16>
 * The nonce is the block's number: a key seals one recording and each number once. The eight bytes before it and the number are
 * authenticated with it, so blocks cannot be moved, copied or given another time.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { Decrypter, Encrypter } from 'age-encryption'
import { OpsError } from '../core/errors.js'
import { decodeBlock, encodeBlock } from '../wire/tape-blocks.js'
import type { BlockReader, BlockWriter, TapeBytes, TapeFormat } from './tape-format.js'

const MAGIC = 'dockin-tape-1\n'
const HEAD_BYTES = 8
const TAG_BYTES = 16
const MAX_ENVELOPE_BYTES = 64 * 1024
const MAX_BLOCK_BYTES = 256 * 1024 * 1024

/** Who can read recordings. At least one of `fileKey` and `recipients`. */
export interface TapeKeys {
  /** 32 bytes: wraps and unwraps, so the gateway can show recordings. */
  readonly fileKey?: Buffer
  /** age1…: can only wrap. Without `fileKey` the gateway cannot read what it recorded. */
  readonly recipients?: readonly string[]
  /** AGE-SECRET-KEY-1…: unwraps what was made for a recipient; for an auditor's tools, not the gateway. */
  readonly identity?: string
}

interface WrappedKeys {
  readonly file?: { readonly id: string; readonly nonce: string; readonly key: string }
  readonly age?: string
}

/** Encrypted blocks. */
export function encryptedTapes(keys: TapeKeys): TapeFormat {
  return { extension: '.cast.enc', writer: () => writerOf(keys), reader: (tape) => readerOf(keys, tape) }
}

/**
 * Reads a key of 32 bytes from a file: raw, or as hex or base64.
 * @throws OpsError CONFIG_INVALID when others may read it, or when it is not 32 bytes
 */
export async function loadFileKey(path: string): Promise<Buffer> {
  const fail = (why: string): never => {
    throw new OpsError('CONFIG_INVALID', `Cannot use recording key "${path}": ${why}`)
  }
  const { mode } = await stat(path).catch((error: Error) => fail(error.message))
  if ((mode & 0o077) !== 0) fail('others may read it, make it 0600')
  const bytes = await readFile(path)
  if (bytes.length === 32) return bytes
  const text = bytes.toString('latin1').trim()
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const key = /^[A-Za-z0-9+/]{43}=$/.test(text) ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  return key.length === 32 ? key : fail('it is not 32 bytes (raw, hex or base64)')
}

async function writerOf(keys: TapeKeys): Promise<BlockWriter> {
  const key = randomBytes(32)
  const head = Buffer.from(`${MAGIC}${JSON.stringify(await wrap(key, keys))}\n`)
  let index = 0
  return {
    head,
    async encode(plain, startMs) {
      const packed = await encodeBlock(plain, startMs)
      const block = Buffer.alloc(HEAD_BYTES)
      block.writeUInt32LE(HEAD_BYTES + packed.length + TAG_BYTES, 0)
      block.writeUInt32LE(Math.min(Math.max(0, Math.floor(startMs)), 0xffffffff), 4)
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index)).setAAD(aadOf(block, index))
      index++
      return Buffer.concat([block, cipher.update(packed), cipher.final(), cipher.getAuthTag()])
    },
  }
}

async function readerOf(keys: TapeKeys, tape: TapeBytes): Promise<BlockReader> {
  const start = await tape.read(0, Math.min(MAX_ENVELOPE_BYTES, tape.size))
  const end = start.indexOf('\n', MAGIC.length)
  if (start.toString('latin1', 0, MAGIC.length) !== MAGIC || end < 0) throw new OpsError('BAD_REQUEST', 'Cannot read recording: it is no encrypted recording')
  const key = await unwrap(parseWrapped(start.toString('utf8', MAGIC.length, end)), keys)
  return {
    start: end + 1,
    headBytes: HEAD_BYTES,
    parseHead(bytes) {
      const length = bytes.readUInt32LE(0)
      if (length < HEAD_BYTES + TAG_BYTES || length > MAX_BLOCK_BYTES) return undefined
      return { bytes: length, startMs: bytes.readUInt32LE(4) }
    },
    async decode(block, index) {
      const cipher = createDecipheriv('aes-256-gcm', key, nonceOf(index)).setAAD(aadOf(block.subarray(0, HEAD_BYTES), index))
      cipher.setAuthTag(block.subarray(block.length - TAG_BYTES))
      return await decodeBlock(Buffer.concat([cipher.update(block.subarray(HEAD_BYTES, -TAG_BYTES)), cipher.final()]))
    },
  }
}

async function wrap(key: Buffer, { fileKey, recipients = [] }: TapeKeys): Promise<WrappedKeys> {
  if (!fileKey && recipients.length === 0) throw new OpsError('CONFIG_INVALID', 'Cannot encrypt recordings: there is neither a key file nor a recipient')
  const wrapped: { -readonly [K in keyof WrappedKeys]: WrappedKeys[K] } = {}
  if (fileKey) {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', fileKey, nonce).setAAD(Buffer.from(MAGIC))
    const sealed = Buffer.concat([cipher.update(key), cipher.final(), cipher.getAuthTag()])
    wrapped.file = { id: idOf(fileKey), nonce: nonce.toString('base64'), key: sealed.toString('base64') }
  }
  if (recipients.length > 0) {
    const age = new Encrypter()
    for (const recipient of recipients) age.addRecipient(recipient)
    wrapped.age = Buffer.from(await age.encrypt(key)).toString('base64')
  }
  return wrapped
}

async function unwrap({ file, age }: WrappedKeys, { fileKey, identity }: TapeKeys): Promise<Buffer> {
  try {
    if (file && fileKey && file.id === idOf(fileKey)) {
      const sealed = Buffer.from(file.key, 'base64')
      const cipher = createDecipheriv('aes-256-gcm', fileKey, Buffer.from(file.nonce, 'base64')).setAAD(Buffer.from(MAGIC))
      cipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      return Buffer.concat([cipher.update(sealed.subarray(0, -TAG_BYTES)), cipher.final()])
    }
    if (age !== undefined && identity !== undefined) {
      const decrypter = new Decrypter()
      decrypter.addIdentity(identity)
      return Buffer.from(await decrypter.decrypt(Buffer.from(age, 'base64')))
    }
  } catch (error) {
    throw new OpsError('BAD_REQUEST', `Cannot read recording: its key cannot be unwrapped: ${(error as Error).message}`, { cause: error })
  }
  const whose = [file && `key ${file.id}`, age !== undefined && 'an age recipient'].filter(Boolean).join(' and ')
  throw new OpsError('CONFIG_INVALID', `Cannot read recording: it is encrypted for ${whose}, which this gateway does not have`, {
    detail: `the recording is encrypted for ${whose}`,
  })
}

function parseWrapped(text: string): WrappedKeys {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as WrappedKeys
  } catch (error) {
    throw new OpsError('BAD_REQUEST', 'Cannot read recording: its wrapped keys are no JSON', { cause: error })
  }
  throw new OpsError('BAD_REQUEST', 'Cannot read recording: it has no wrapped keys')
}

function idOf(fileKey: Buffer): string {
  return createHash('sha256').update('dockin-tape-key').update(fileKey).digest('hex').slice(0, 16)
}

function nonceOf(index: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64BE(BigInt(index), 4)
  return nonce
}

function aadOf(head: Buffer, index: number): Buffer {
  return Buffer.concat([head, nonceOf(index)])
}
