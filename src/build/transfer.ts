/** The file servers of a gateway: SFTP and scp over VettedFiles, decided by the policy, told to the audit. */
import { PassThrough } from 'node:stream'
import { OpsError } from '../core/errors.js'
import type { Logger } from '../core/log.js'
import type { AuditSink, Policy } from '../core/types.js'
import type { StartTransfer } from '../session/transfer.js'
import type { KeptFiles } from '../store/kept-files.js'
import { FileJournal } from '../transfer/file-journal.js'
import { serveScp } from '../transfer/scp.js'
import { parseScpWords } from '../transfer/scp-options.js'
import { type Serve, TransferProcess } from '../transfer/transfer-process.js'
import { VettedFiles } from '../transfer/vetted-files.js'
import { serveSftp } from '../wire/sftp/server.js'

/** Lines of refusals that wait for a client who does not read. */
const STDERR_BYTES = 64 * 1024

/** @param kept where copies of uploads go that a rule wants kept */
export function transferServers(policy: Policy, audit: AuditSink, log: Logger, kept?: Pick<KeptFiles, 'begin'>): StartTransfer {
  return ({ session, words, files, errand }) => {
    const { identity, target, door } = session
    const { cluster, namespace, pod, container, uid, node } = target
    const from = `${identity.from.host}:${identity.from.port}`
    const subject = { session: session.id, user: identity.user, from, door, target: { cluster, namespace, pod, container, uid, node } }
    const stderr = new PassThrough({ highWaterMark: STDERR_BYTES })
    const journal = new FileJournal({
      decide: (ask) => policy.decide({ kind: 'transfer', identity, target, door, ...ask }),
      record: (event) => audit.write({ ...subject, ...event }),
      unavailable: () => audit.unavailable(),
      tell: (line) => stderr.writable && stderr.write(`dockin: ${line}\n`),
      log: log.child({ session: session.id, user: identity.user }),
    })
    let copies = 0
    const vetted = new VettedFiles(files, journal, kept && (() => kept.begin(session, ++copies)))
    return new TransferProcess({
      files: vetted,
      journal,
      stderr,
      serve: errand ? (lanes, signal) => errand(vetted, lanes, signal) : door === 'scp' ? scp(words, vetted) : sftp(vetted),
    })
  }
}

function sftp(files: VettedFiles): Serve {
  return async ({ input, output }, signal) => {
    await serveSftp({ readable: input, writable: output }, files, {}, signal)
    return 0
  }
}

/** @throws OpsError BAD_REQUEST */
function scp(words: readonly string[], files: VettedFiles): Serve {
  try {
    const options = parseScpWords(words, files.home)
    return ({ input, output }) => serveScp(options, input, output, files)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new OpsError('BAD_REQUEST', reason, { cause: error, detail: reason })
  }
}
