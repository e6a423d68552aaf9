/** A real S3 server, from npm: it knows what S3 says to clients, and keeps its buckets in a directory. */
import type { Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { S3Client } from '@aws-sdk/client-s3'
import { tempDir } from './temp-dir.js'

interface S3rverOptions {
  readonly address: string
  readonly port: number
  readonly silent: boolean
  readonly directory: string
  readonly configureBuckets: readonly { readonly name: string }[]
}
const S3rver = createRequire(import.meta.url)('s3rver') as new (
  options: S3rverOptions,
) => { run(): Promise<AddressInfo>; close(): Promise<void>; httpServer: Server }

/** With the bucket `tapes`; stopped at the end of the test at the latest. */
export async function s3(t: TestContext): Promise<{ endpoint: string; stop: () => Promise<void>; client: () => S3Client }> {
  const server = new S3rver({ address: '127.0.0.1', port: 0, silent: true, directory: await tempDir(t), configureBuckets: [{ name: 'tapes' }] })
  const { port } = await server.run()
  let isOver = false
  const stop = async () => {
    if (isOver) return
    isOver = true
    server.httpServer.closeAllConnections()
    await server.close()
  }
  t.after(stop)
  const endpoint = `http://127.0.0.1:${port}`
  const client = () =>
    new S3Client({ region: 'us-east-1', endpoint, forcePathStyle: true, maxAttempts: 1, credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' } })
  return { endpoint, stop, client }
}
