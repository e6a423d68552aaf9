/** The old scp protocol on FileAccess: what `scp -O` asks of its peer, served without an scp in the container. */
import type { Readable, Writable } from 'node:stream'
import { escapePeerText } from '../core/log.js'
import { ScpError } from '../wire/scp-record.js'
import { ScpEnd } from './scp-end.js'
import type { ScpFiles, ScpOptions } from './scp-options.js'
import { ScpSink } from './scp-sink.js'
import { ScpSource } from './scp-source.js'

/**
 * Serves one conversation. Does not end the streams, and leaves an open file for `files.close()` to end as a part when the client is lost.
 * @returns the exit status: 0, or 1 when a file could not be moved
 * @throws FileError CONNECTION_LOST when the container is lost
 */
export async function serveScp(options: ScpOptions, input: Readable, output: Writable, files: ScpFiles): Promise<number> {
  const end = new ScpEnd(input, output)
  try {
    if (options.role === 'sink') await new ScpSink(end, files, options).run()
    else await new ScpSource(end, files, options).run()
    return end.exitCode
  } catch (error) {
    if (!(error instanceof ScpError)) throw error
    await end.sendRecord({ kind: 'error', text: `scp: ${escapePeerText(error.message, 1024)}` })
    return 1
  }
}
