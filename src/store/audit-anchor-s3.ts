/** The last signed head as one object of an S3-compatible store, best in a bucket that keeps versions and that the gateway may not delete from. */
import { GetObjectCommand, NoSuchKey, PutObjectCommand } from '@aws-sdk/client-s3'
import { parseSignedHead } from '../wire/evidence/checkpoint.js'
import type { Anchor } from './audit-anchor.js'
import { openS3, type S3ClientOptions } from './s3-client.js'

export interface S3AnchorOptions extends S3ClientOptions {
  readonly bucket: string
  readonly key: string
}

/** More than a signed head has. */
const HEAD_BYTES = 64 * 1024
/** A store that does not answer must not hold up the end of the gateway. */
const REQUEST_MS = 10_000

/** @throws OpsError CONFIG_INVALID when the credentials cannot be read, or others may read them */
export async function s3Anchor(options: S3AnchorOptions): Promise<Anchor> {
  const client = await openS3(options)
  const at = { Bucket: options.bucket, Key: options.key }
  const limit = () => ({ abortSignal: AbortSignal.timeout(REQUEST_MS) })
  return {
    name: `s3 ${options.bucket}/${options.key}`,
    async put(head) {
      await client.send(new PutObjectCommand({ ...at, Body: `${JSON.stringify(head)}\n`, ContentType: 'application/json' }), limit())
    },
    async get() {
      try {
        const { Body, ContentLength } = await client.send(new GetObjectCommand(at), limit())
        if ((ContentLength ?? 0) > HEAD_BYTES) throw new Error(`the object has ${ContentLength} bytes, which is no signed head`)
        return Body && parseSignedHead(await Body.transformToString())
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined
        throw error
      }
    },
    close: async () => client.destroy(),
  }
}
