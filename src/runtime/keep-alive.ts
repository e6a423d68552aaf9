/** Notices a peer that is gone without having said so: a machine that lost its power or its network. */
import { OpsError } from '../core/errors.js'
import type { SpdyConnection } from '../wire/spdy/connection.js'

const EVERY_MS = 5000
/** A dead peer is noticed after at most the sum of both. */
const LIMIT_MS = 10_000

/**
 * Pings until the connection ends, and cuts it with PROTOCOL_ERROR when an answer takes too long. While a slow reader of
 * ours holds the socket no answer can come in, and nothing is asked.
 * @param subject who is asked, for the error: "agent node-a"
 */
export function keepAlive(connection: SpdyConnection, subject: string, everyMs = EVERY_MS, limitMs = LIMIT_MS): void {
  let askedAt: number | undefined
  const timer = setInterval(() => {
    if (connection.isHeld) askedAt = undefined
    else if (askedAt === undefined) ask()
    else if (performance.now() - askedAt >= limitMs) connection.destroy(new OpsError('PROTOCOL_ERROR', `${subject} stopped answering`))
  }, everyMs).unref()
  const ask = () => {
    askedAt = performance.now()
    connection.ping().then(
      () => {
        askedAt = undefined
      },
      () => {}, // the connection has ended, which `closed` says too
    )
  }
  void connection.closed.then(() => clearInterval(timer))
}
