/** The body of an answer as text, up to a limit. */
import type { IncomingMessage } from 'node:http'
import { OpsError } from '../core/errors.js'

/** @throws OpsError PROTOCOL_ERROR when it is longer, or breaks off */
export async function readLimited(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      parts.push(part)
      bytes += part.length
      if (bytes > maxBytes) throw new OpsError('PROTOCOL_ERROR', `an answer is longer than ${maxBytes} bytes`)
    }
  } catch (error) {
    if (error instanceof OpsError) throw error
    throw new OpsError('PROTOCOL_ERROR', `an answer broke off: ${(error as Error).message}`, { cause: error })
  }
  return Buffer.concat(parts).toString()
}
