/**
 * The advisory command log of plain shells. Both lanes pass through unchanged and at once; copies of what was typed and
 * shown are read later, in batches, and never more than so much of them: this log slows nobody down.
 */
import { Transform } from 'node:stream'
import type { Logger } from '../core/log.js'
import { type AuditEvent, type AuditSink, type Interceptor, type Session, type Stage, targetText } from '../core/types.js'
import type { AdvisoryLine, AdvisoryLines } from './advisory-lines.js'

export interface AdvisoryOptions {
  readonly audit: Pick<AuditSink, 'write'>
  readonly log: Logger
  /** Undefined: this session's lines are logged elsewhere or not at all. */
  readonly source: (session: Session) => AdvisorySource | undefined
  /** The simple commands of a line, where it can be read. */
  readonly commands?: (line: string) => readonly (readonly string[])[]
  /** How long copies wait to be read together; 100 ms. */
  readonly batchMs?: number
}

/** What is to be read of a session. */
export interface AdvisorySource {
  readonly confidence: 'advisory' | 'nested'
  /** The rule under which what is typed now runs; undefined: somebody else vets it and writes it down. */
  readonly rule: () => string | undefined
}

type Copy =
  | { readonly kind: 'keys'; readonly bytes: Buffer; readonly rule: string }
  | { readonly kind: 'shown'; readonly bytes: Buffer }
  | { readonly kind: 'resize'; readonly columns: number; readonly rows: number }

const BATCH_MS = 100
/** Shown between two keys; of more only the first and the last are read, where the echo and the next prompt stand. */
const MAX_SHOWN_BYTES = 32 * 1024
/** Typed between two reads. */
const MAX_KEY_BYTES = 64 * 1024
/** Copies that wait; a paste beyond it is not read to its end. */
const MAX_COPIES = 4096
const FINISH_MS = 1000

/** Sessions for which `rule` answers get a stage; what cannot be kept is told to the log and holds nobody. */
export function advisory(options: AdvisoryOptions): Interceptor {
  return (session) => {
    const source = session.pty === undefined || session.command !== undefined ? undefined : options.source(session)
    return source && new AdvisoryLog(session, source, options).stage
  }
}

class AdvisoryLog {
  readonly stage: Stage
  readonly #session: Session
  readonly #source: AdvisorySource
  #rule = ''
  readonly #options: AdvisoryOptions
  #copies: Copy[] = []
  /** Bytes at the end of `#copies` that were shown since the last key. */
  #shownBytes = 0
  #keyBytes = 0
  #lines: AdvisoryLines | undefined
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #over = false

  constructor(session: Session, source: AdvisorySource, options: AdvisoryOptions) {
    this.#session = session
    this.#source = source
    this.#options = options
    this.stage = {
      name: 'advisory',
      up: copied((bytes) => {
        const rule = source.rule()
        if (rule !== undefined) this.#keep({ kind: 'keys', bytes, rule })
      }),
      down: copied((bytes) => {
        // a program that begins to read prints a prompt of its own
        if (source.rule() !== undefined) this.#keep({ kind: 'shown', bytes })
      }),
      resize: ({ columns, rows }) => this.#keep({ kind: 'resize', columns, rows }),
      finish: () => this.#finish(),
    }
  }

  #keep(copy: Copy): void {
    if (this.#over || this.#copies.length >= MAX_COPIES) return
    if (copy.kind === 'shown') {
      this.#shownBytes += copy.bytes.length
      if (this.#shownBytes > 2 * MAX_SHOWN_BYTES) this.#shorten(copy.bytes)
      else this.#copies.push(copy)
    } else {
      if (copy.kind === 'keys') this.#keyBytes += copy.bytes.length
      // a file that is sent through the terminal is no line of commands
      if (this.#keyBytes > MAX_KEY_BYTES) return
      this.#shownBytes = 0
      this.#copies.push(copy)
    }
    this.#timer ??= setTimeout(() => this.#read(), this.#options.batchMs ?? BATCH_MS).unref()
  }

  /** Much output at once: its beginning was kept, and its end replaces the end that was kept before. */
  #shorten(bytes: Buffer): void {
    const before = this.#copies.at(-1)
    const last = before?.kind === 'shown' ? before.bytes : Buffer.alloc(0)
    const isLong = bytes.length >= MAX_SHOWN_BYTES
    const tail = isLong ? bytes : Buffer.concat([last, bytes])
    const kept = Buffer.from(tail.subarray(Math.max(0, tail.length - MAX_SHOWN_BYTES)))
    const cut = lastSwitch(tail.subarray(0, tail.length - kept.length))
    const switches = cut.length === 0 && isLong ? lastSwitch(last) : cut
    const whole = { kind: 'shown', bytes: Buffer.concat([switches, kept]) } as const
    if (before?.kind === 'shown') this.#copies[this.#copies.length - 1] = whole
    else this.#copies.push(whole)
  }

  #read(): void {
    this.#timer = undefined
    this.#reading ??= this.#readAll()
      .catch((error: unknown) => {
        this.#over = true
        this.#options.log.warn({ session: this.#session.id, error }, 'advisory.failed')
      })
      .finally(() => {
        this.#reading = undefined
        if (this.#copies.length > 0 && !this.#over) this.#timer ??= setTimeout(() => this.#read(), this.#options.batchMs ?? BATCH_MS).unref()
      })
  }

  async #readAll(): Promise<void> {
    const copies = this.#copies
    this.#copies = []
    this.#shownBytes = 0
    this.#keyBytes = 0
    const { columns = 80, rows = 24 } = this.#session.pty?.size ?? {}
    this.#lines ??= new (await import('./advisory-lines.js')).AdvisoryLines(columns || 80, rows || 24)
    for (const copy of copies) {
      if (copy.kind === 'keys') {
        this.#rule = copy.rule
        this.#lines.keys(copy.bytes)
      } else if (copy.kind === 'resize') this.#lines.resize(copy.columns || 80, copy.rows || 24)
      else for (const line of await this.#lines.shown(copy.bytes)) this.#log(line)
    }
  }

  #log({ line, cwd }: AdvisoryLine): void {
    const { id, identity, door, target } = this.#session
    const { cluster, namespace, pod, container, uid, node } = target
    const event: AuditEvent = {
      session: id,
      user: identity.user,
      from: `${identity.from.host}:${identity.from.port}`,
      door,
      target: { cluster, namespace, pod, container, uid, node },
      type: 'command',
      line,
      ...(cwd !== undefined && { cwd }),
      verdict: 'allow',
      rule: this.#rule,
      commands: this.#options.commands?.(line) ?? [],
      confidence: this.#source.confidence,
    }
    // an advisory line holds nobody: that it cannot be kept is told, and sessions that must be kept are refused elsewhere
    this.#options.audit.write(event).catch((error: unknown) => this.#options.log.error({ session: id, target: targetText(target), error }, 'audit.failed'))
  }

  /** Reads what still waits, for a second at most: the lines stand before the session's end in the log. */
  async #finish(): Promise<void> {
    if (this.#over) return
    clearTimeout(this.#timer)
    let late: NodeJS.Timeout | undefined
    const limit = new Promise<void>((resolve) => {
      late = setTimeout(resolve, FINISH_MS)
    })
    await Promise.race([this.#rest(), limit])
    clearTimeout(late)
    clearTimeout(this.#timer)
    this.#over = true
    this.#copies = []
    this.#lines?.dispose()
  }

  async #rest(): Promise<void> {
    await this.#reading
    if (this.#copies.length > 0) this.#read()
    await this.#reading
  }
}

/** What is left out may have switched the screen: that much of it is kept. */
function lastSwitch(bytes: Buffer): Buffer {
  if (!bytes.includes('\x1b[?')) return Buffer.alloc(0)
  const found = bytes.toString('latin1').match(/\x1b\[\?(?:1049|1047|47)[hl]/g)
  return Buffer.from(found?.at(-1) ?? '', 'latin1')
}

function copied(keep: (bytes: Buffer) => void): Transform {
  return new Transform({
    highWaterMark: 64 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      keep(chunk)
      done(null, chunk)
    },
  })
}
