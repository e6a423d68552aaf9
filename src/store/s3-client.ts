/** The client of an S3-compatible store. */
import { readFile, stat } from 'node:fs/promises'
import { S3Client } from '@aws-sdk/client-s3'
import { OpsError } from '../core/errors.js'

export interface S3ClientOptions {
  readonly region: string
  /** Absent: Amazon's own. Buckets are then part of the path, which every other store understands. */
  readonly endpoint?: string
  /** JSON with accessKeyId and secretAccessKey, 0600; absent: the usual places of the AWS SDK (environment, instance role). */
  readonly credentialsFile?: string
}

/** @throws OpsError CONFIG_INVALID when the credentials cannot be read, or others may read them */
export async function openS3({ region, endpoint, credentialsFile }: S3ClientOptions): Promise<S3Client> {
  const credentials = credentialsFile === undefined ? undefined : await readCredentials(credentialsFile)
  return new S3Client({
    region,
    maxAttempts: 3,
    ...(endpoint !== undefined && { endpoint, forcePathStyle: true }),
    ...(credentials && { credentials }),
    // other stores know no trailing checksums; the hash that counts is in the log
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

async function readCredentials(path: string): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }> {
  try {
    if (((await stat(path)).mode & 0o077) !== 0) throw new Error('others may read it, make it 0600')
    const { accessKeyId, secretAccessKey } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') throw new Error('it holds no accessKeyId and secretAccessKey')
    return { accessKeyId, secretAccessKey }
  } catch (error) {
    throw new OpsError('CONFIG_INVALID', `Cannot use S3 credentials "${path}": ${(error as Error).message}`, { cause: error })
  }
}
