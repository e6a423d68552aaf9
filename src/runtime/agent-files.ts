/** A container's files through its node's agent: one SPDY stream that speaks SFTP. */
import { OpsError } from '../core/errors.js'
import { FileError } from '../core/files.js'
import type { Target } from '../core/types.js'
import { SftpClient } from '../wire/sftp/client.js'
import type { SpdyConnection } from '../wire/spdy/connection.js'

/** An extension of ours beside kubelet's paths. */
export function filesPath(target: Target): string {
  const path = [target.namespace, target.pod, target.uid, target.container].map(encodeURIComponent).join('/')
  return `/files/${path}?${new URLSearchParams({ containerId: target.containerId })}`
}

/**
 * @param connection owned from now on; it ends with the files, and the files with it
 * @throws OpsError TARGET_UNREACHABLE when the agent's end broke; the reason of `signal`
 */
export async function openAgentFiles(connection: SpdyConnection, via: string, signal: AbortSignal): Promise<SftpClient> {
  try {
    const stream = await connection.openStream({ streamtype: 'files' }, signal)
    stream.once('close', () => void connection.close())
    return await SftpClient.connect({ readable: stream, writable: stream }, { via }, signal)
  } catch (error) {
    connection.destroy()
    if (error instanceof FileError) throw new OpsError('TARGET_UNREACHABLE', `Cannot open the files through ${via}: ${error.message}`, { cause: error })
    throw error
  }
}
