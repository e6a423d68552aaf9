/** One file session, from the caller's stream to the child and back. */
import { pipeline } from 'node:stream/promises'
import { abortReason, toOpsError } from '../../src/core/errors.js'
import type { Logger } from '../../src/core/log.js'
import type { SpdyConnection } from '../../src/wire/spdy/connection.js'
import type { SpdyStream } from '../../src/wire/spdy/stream.js'
import type { FileSession } from './start-files.js'

/**
 * Carries bytes, which are SFTP and nothing to this side, until either end is over; never rejects. The child is killed when
 * the caller goes or `stop` aborts.
 */
export async function runFiles(session: FileSession, connection: SpdyConnection, release: () => void, stop: AbortSignal, log: Logger): Promise<void> {
  const startedMs = performance.now()
  const counts = { in: 0, out: 0 }
  const gone = new AbortController()
  void connection.closed.then(() => gone.abort())
  const ended = AbortSignal.any([stop, gone.signal])
  try {
    const lane = await firstStream(connection, ended)
    lane.on('data', (chunk: Buffer) => {
      counts.in += chunk.length
    })
    session.stream.on('data', (chunk: Buffer) => {
      counts.out += chunk.length
    })
    // Either may end first; the session is over when the child has said all.
    pipeline(lane, session.stream, { end: true, signal: ended }).catch(() => {})
    await pipeline(session.stream, lane, { signal: ended })
    await connection.close()
  } catch (error) {
    connection.destroy(stop.aborted ? abortReason(stop) : toOpsError(error, 'CLIENT_GONE'))
  } finally {
    await session.close()
    release()
  }
  log.info({ bytesIn: counts.in, bytesOut: counts.out, ms: Math.round(performance.now() - startedMs) }, 'files.end')
}

function firstStream(connection: SpdyConnection, signal: AbortSignal): Promise<SpdyStream> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(abortReason(signal))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    let isTaken = false
    connection.onStream((stream) => {
      if (isTaken) return stream.reset()
      isTaken = true
      signal.removeEventListener('abort', onAbort)
      resolve(stream)
    })
  })
}
