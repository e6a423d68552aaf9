/** opsctl audit: the log, searched and followed. */

import { type Command, Option } from 'commander'
import type { StoredEvent } from '../../core/types.js'
import { jsonLines } from '../api/lines.js'
import { allItems } from '../api/pages.js'
import { at, text } from '../api/rows.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, printRows, withInterrupt } from '../cli.js'
import { errorCode, GatewayError } from '../problem.js'
import { outputOption, wholeNumber } from '../program.js'
import { widthOf } from '../streams.js'
import { jsonLine, type Listing, type OutputFormat, printList } from '../text/output.js'
import { addSearchOptions } from './filters.js'
import { sessionTarget } from './resources.js'

interface AuditOptions extends GlobalOptions {
  readonly user?: string
  readonly target?: string
  readonly text?: string
  readonly batch?: string
  readonly session?: string
  readonly type?: string
  readonly verdict?: 'allow' | 'deny' | 'approved' | 'refused'
  readonly since?: Date
  readonly until?: Date
  readonly limit: number
  readonly follow?: boolean
  readonly output: OutputFormat
}

export function addAudit(program: Command, cli: Cli): void {
  const audit = program.command('audit').description('search the audit log, newest last')
  addSearchOptions(audit)
    .option('--session <id>', 'of this session')
    .option('--type <type>', 'type of event: command, login, session.open, file, …')
    .addOption(new Option('--verdict <verdict>', 'only these').choices(['allow', 'deny', 'approved', 'refused']))
    .option('--limit <n>', 'most events', wholeNumber('--limit', 1), 100)
    .option('-f, --follow', 'go on with events as they come')
    .addOption(outputOption())
    .action((options: AuditOptions) => audited(cli, options))
}

/** What happened, in one line. */
export function eventText(event: StoredEvent): string {
  switch (event.type) {
    case 'command': {
      const why = event.reason === undefined ? '' : `  (${event.reason})`
      return `${event.verdict === 'allow' ? '$' : `${event.verdict.toUpperCase()}:`} ${event.line ?? `base64:${event.lineBase64}`}${why}`
    }
    case 'command.exit':
      return `exit ${event.status} of ${event.command} after ${event.ms} ms`
    case 'file': {
      const to = event.to === undefined ? '' : ` -> ${event.to}`
      return `${event.verdict === 'allow' ? '' : 'DENY: '}${event.op} ${event.path}${to}${event.bytes === undefined ? '' : `, ${event.bytes} bytes`}`
    }
    case 'session.close':
      return `exit ${event.exit}: ${event.reason}`
    case 'admin':
      return `${event.action} ${event.object}`
    default:
      return [text(event, 'reason'), text(event, 'method'), text(event, 'address'), text(event, 'rule')].filter((part) => part !== '').join(', ')
  }
}

const EVENTS: Listing<StoredEvent> = {
  name: (event) => String(event.seq),
  columns: [
    { title: 'SEQ', value: (event) => event.seq, align: 'right', wide: true },
    { title: 'TIME', value: (event) => localTime(event.time) },
    { title: 'TYPE', value: (event) => event.type },
    { title: 'USER', value: (event) => event.user, shrinkTo: 6 },
    { title: 'TARGET', value: (event) => (event.target ? sessionTarget({ target: { ...event.target } }) : ''), shrinkTo: 12, cut: 'middle' },
    { title: 'WHAT', value: eventText, shrinkTo: 24 },
    { title: 'SESSION', value: (event) => event.session, wide: true },
    { title: 'DOOR', value: (event) => event.door, wide: true },
    { title: 'RULE', value: (event) => text(event, 'rule'), wide: true },
    { title: 'FROM', value: (event) => event.from, wide: true },
  ],
}

/** "2026-11-23 10:15:02" where the reader is. */
function localTime(time: string): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return time
  const two = (value: number) => String(value).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

async function audited(cli: Cli, options: AuditOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  if (options.follow) {
    await withInterrupt((signal) => follow(cli, gateway, options, signal))
    return
  }
  const events = await allItems((page) => gateway.api.listAudit({ query: { ...page, ...queryOf(options) } }), options.limit)
  await printRows(cli, events.reverse(), EVENTS, options.output)
}

function queryOf({ user, target, text: words, batch, session, type, verdict, since, until }: AuditOptions) {
  return {
    ...(user !== undefined && { user }),
    ...(target !== undefined && { target }),
    ...(words !== undefined && { text: words }),
    ...(batch !== undefined && { batch }),
    ...(session !== undefined && { session }),
    ...(type !== undefined && { type }),
    ...(verdict !== undefined && { verdict }),
    ...(since && { from: since.toISOString() }),
    ...(until && { to: until.toISOString() }),
  }
}

/** Until Ctrl-C, which is a good end. A stream that a proxy or a restart cut is an error: what happened meanwhile would be missing. */
async function follow(cli: Cli, gateway: Gateway, options: AuditOptions, signal: AbortSignal): Promise<void> {
  const print = new FollowPrinter(cli, options.output)
  try {
    const answer = await gateway.api.followAudit({ query: { ...queryOf(options), follow: '1' }, signal })
    for await (const line of jsonLines(answer)) {
      if (line.seq === undefined && typeof line.code === 'string') throw new GatewayError(errorCode(line.code), text(line, 'message'))
      if (isEvent(line)) await print.event(line)
    }
    throw new GatewayError('PROTOCOL_ERROR', 'the gateway ended the stream of events')
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

function isEvent(line: unknown): line is StoredEvent {
  return typeof at(line, 'seq') === 'number' && typeof at(line, 'type') === 'string'
}

/** Widths of columns are guessed from what a line is like: a stream cannot wait for its widest line. */
class FollowPrinter {
  readonly #cli: Cli
  readonly #format: OutputFormat

  constructor(cli: Cli, format: OutputFormat) {
    this.#cli = cli
    this.#format = format
  }

  async event(event: StoredEvent): Promise<void> {
    if (this.#format === 'json') return out(this.#cli, jsonLine(event))
    if (this.#format !== 'table')
      return out(this.#cli, printList([event], EVENTS, { format: this.#format, width: widthOf(this.#cli.streams.stdout), headers: false }))
    const target = event.target ? sessionTarget({ target: { ...event.target } }) : '-'
    const row = [localTime(event.time), event.type.padEnd(15), (event.user ?? '-').padEnd(8), target.padEnd(28), eventText(event)]
    return out(
      this.#cli,
      printList(
        [row],
        {
          name: () => '',
          columns: row.map((_, i) => ({ title: '', value: (cells: string[]) => cells[i], ...(i === row.length - 1 && { shrinkTo: 20 }) })),
        },
        { format: 'table', width: widthOf(this.#cli.streams.stdout), headers: false },
      ),
    )
  }
}
