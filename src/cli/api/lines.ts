/** Answers that are lines of JSON (application/x-ndjson), as they come. */
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { GatewayError } from '../problem.js'
import { isRow, type Row } from './rows.js'

/** Each object; blank lines are signs of life, and a line that the end of the stream cut says nothing. @throws GatewayError when there is no body */
export async function* jsonLines(answer: Response): AsyncGenerator<Row> {
  if (!answer.body) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered without a body')
  const input = Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0])
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const value = line.trim() === '' ? undefined : parse(line)
    if (isRow(value)) yield value
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined // cut with its stream, whose end is told
  }
}
