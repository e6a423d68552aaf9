/** What a transfer session asks of the policy and tells the audit: one question an operation, one event a file. */
import { ERRORS } from '../core/errors.js'
import { FileError } from '../core/files.js'
import { escapePeerText, type Logger } from '../core/log.js'
import type { Allowed, AuditEvent, Question, Refused, Verdict } from '../core/types.js'

type Transfer = Question & { readonly kind: 'transfer' }
/** A question without who, where and door, which stay the same for a session. */
export type TransferAsk = Omit<Transfer, 'kind' | 'identity' | 'target' | 'door'>
export type FileEvent = Omit<AuditEvent & { readonly type: 'file' }, 'session' | 'user' | 'from' | 'door' | 'target'>
/** What an event says besides type and verdict. */
export type FileFacts = Omit<FileEvent, 'type' | 'verdict' | 'rule' | 'reason'>

export interface FileJournalParts {
  /** `Policy.decide`, bound to a person, a target and a door. */
  readonly decide: (ask: TransferAsk) => Verdict
  /** Resolves when the event rests. Subject fields are added there. @throws OpsError AUDIT_UNAVAILABLE */
  readonly record: (event: FileEvent) => Promise<unknown>
  /** As AuditSink.unavailable. */
  readonly unavailable: () => string | undefined
  /** One line for the user: clients such as OpenSSH's show their own words for a refusal, and not ours. */
  readonly tell?: (line: string) => void
  readonly log: Logger
}
export interface FileCounts {
  /** Whole files only. */
  readonly uploads: number
  readonly downloads: number
  readonly refusals: number
}

/** Events of what was only read may still be on their way; beyond this many the next read waits. */
const MAX_UNDER_WAY = 256
/** Lines that a user is told, and denied looks that are kept once each. */
const MAX_LINES = 20
const MAX_KNOWN_LOOKS = 4096

export class FileJournal {
  readonly #parts: FileJournalParts
  readonly #underWay = new Set<Promise<void>>()
  readonly #told = new Set<string>()
  readonly #deniedLooks = new Set<string>()
  #opened = 0
  #uploads = 0
  #downloads = 0
  #refusals = 0

  constructor(parts: FileJournalParts) {
    this.#parts = parts
  }

  get counts(): FileCounts {
    return { uploads: this.#uploads, downloads: this.#downloads, refusals: this.#refusals }
  }

  /** Files opened in this session so far. */
  get opened(): number {
    return this.#opened
  }
  countOpened(): void {
    this.#opened += 1
  }
  countWhole(op: 'upload' | 'download'): void {
    if (op === 'upload') this.#uploads += 1
    else this.#downloads += 1
  }

  /** @throws FileError REFUSED, after the refusal is in the audit */
  async ask(ask: TransferAsk, facts: FileFacts): Promise<Allowed> {
    const unavailable = this.#parts.unavailable()
    if (unavailable !== undefined) throw this.#auditLost(unavailable)
    const verdict = this.#parts.decide(ask)
    if (!verdict.allow) throw await this.refuse(verdict, facts)
    return verdict
  }

  /** Asks without an event: for bytes that flow. */
  decide(ask: TransferAsk): Verdict {
    return this.#parts.decide(ask)
  }

  /** Writes the denial and answers the error to throw. A look that is denied again is not written again. */
  async refuse(verdict: Refused, facts: FileFacts): Promise<FileError> {
    const error = this.refusal(verdict)
    const look = facts.op === 'stat' || facts.op === 'list' ? `${facts.op} ${facts.path}` : undefined
    if (look !== undefined && this.#deniedLooks.has(look)) return error
    if (look !== undefined && this.#deniedLooks.size < MAX_KNOWN_LOOKS) this.#deniedLooks.add(look)
    await this.note({ ...facts, ...denial(verdict) })
    return error
  }

  /** The error of a denial whose event comes later. The user reads a line of it. */
  refusal(verdict: Refused): FileError {
    const { reason, rule, message } = verdict
    const parts = [reason, rule === undefined ? '' : `rule ${rule}`, message ?? ''].filter((part) => part !== '')
    const text = `${ERRORS.FILE_REFUSED.text}: ${parts.join('; ')}`
    this.#refusals += 1
    this.#tell(text)
    return new FileError('REFUSED', text)
  }

  /** A change is allowed to happen, or has happened: resolves when that rests. @throws FileError REFUSED when it cannot */
  async record(facts: FileFacts, rule: string): Promise<void> {
    await this.recordAll({ ...facts, verdict: 'allow', rule })
  }
  async recordAll(event: Omit<FileEvent, 'type'>): Promise<void> {
    try {
      await this.#parts.record({ type: 'file', ...event })
    } catch (error) {
      throw this.#auditLost(error instanceof Error ? error.message : String(error))
    }
  }

  /** For what nobody's answer waits for. Never rejects; waits only when many are under way. */
  async note(event: Omit<FileEvent, 'type'>): Promise<void> {
    const writing = this.#parts.record({ type: 'file', ...event }).then(
      () => undefined,
      (error: unknown) => this.#parts.log.error({ error, op: event.op }, 'audit.failed'),
    )
    this.#underWay.add(writing)
    void writing.then(() => this.#underWay.delete(writing))
    if (this.#underWay.size > MAX_UNDER_WAY) await Promise.race(this.#underWay)
  }

  /** All notes have come to rest or failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  #auditLost(why: string): FileError {
    this.#parts.log.error({ reason: why }, 'audit.failed')
    this.#tell(ERRORS.AUDIT_UNAVAILABLE.text)
    return new FileError('REFUSED', ERRORS.AUDIT_UNAVAILABLE.text)
  }

  #tell(text: string): void {
    if (this.#told.has(text) || this.#told.size > MAX_LINES) return
    this.#told.add(text)
    this.#parts.tell?.(this.#told.size > MAX_LINES ? 'more was refused; the audit log has it' : escapePeerText(text, 2048))
  }
}

/** The fields of an event that tell of a refusal. */
export function denial({ rule, reason }: Refused): Pick<FileEvent, 'verdict' | 'rule' | 'reason'> {
  return { verdict: 'deny', reason, ...(rule !== undefined && { rule }) }
}
