/** The thread that keyframe-thread.ts starts: makes keyframes of one recording after another. */
import { open } from 'node:fs/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { KeyframeAnswer, KeyframeJob } from './keyframe-thread.js'
import { makeKeyframes } from './keyframes.js'
import { encryptedTapes } from './tape-cipher.js'
import { fileBytes, GZIP } from './tape-format.js'

const { fileKey, isEncrypted } = workerData as { readonly fileKey?: Uint8Array; readonly isEncrypted: boolean }
const format = isEncrypted ? encryptedTapes(fileKey ? { fileKey: Buffer.from(fileKey) } : {}) : GZIP
let turn: Promise<void> = Promise.resolve()

parentPort?.on('message', ({ id, path }: KeyframeJob) => {
  turn = turn.then(() => make(id, path))
})

async function make(id: number, path: string): Promise<void> {
  let answer: KeyframeAnswer = { id }
  try {
    await makeKeyframes({ path, format, open: async () => fileBytesOf(path) })
  } catch (error) {
    answer = { id, error: (error as Error).message }
  }
  parentPort?.postMessage(answer)
}

async function fileBytesOf(path: string) {
  const handle = await open(path, 'r')
  return fileBytes(handle, (await handle.stat()).size)
}
