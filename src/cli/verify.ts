/** `opsctl verify DIR`: what the verifier found, as text and exit status. It works offline and reads only. */
import { type EvidenceReport, printReport } from '../wire/evidence/report.js'
import { type VerifyEvidenceOptions, verifyEvidence as verify } from '../wire/evidence/verify.js'

export interface VerifyReport extends EvidenceReport {
  /** Lines for a person, each with its newline. */
  readonly text: string
  /** 0: everything is what it was; 1: `problems[0]` names the first that is not. */
  readonly exit: 0 | 1
}

/**
 * @param dir a copied data directory, or an unpacked evidence pack
 * @throws OpsError NOT_FOUND when there is no log in it; BAD_REQUEST when key or anchor cannot be read
 */
export async function verifyEvidence(dir: string, options: VerifyEvidenceOptions = {}): Promise<VerifyReport> {
  const report = await verify(dir, options)
  return { ...report, text: printReport(report), exit: report.ok ? 0 : 1 }
}
