/** opsctl end, lock, unlock, approve: what changes something. */
import { type Command, Option } from 'commander'
import type { ApprovalItem } from '../../wire/api/approvals.js'
import { ageOf } from '../api/rows.js'
import { type Cli, type GlobalOptions, gatewayOf, printRows, say } from '../cli.js'
import { outputOption } from '../program.js'
import type { Listing, OutputFormat } from '../text/output.js'
import { safe } from '../text/safe.js'
import { sessionTarget } from './resources.js'

interface ReasonOptions extends GlobalOptions {
  readonly reason?: string
}

export function addControl(program: Command, cli: Cli): void {
  program
    .command('end')
    .description('end a session; its user reads the reason')
    .argument('<session>', 'id of the session')
    .requiredOption('--reason <text>', 'why')
    .action((id: string, options: GlobalOptions & { reason: string }) => end(cli, id, options))
  program
    .command('lock')
    .description('hold what the user of a session types')
    .argument('<session>', 'id of the session')
    .option('--reason <text>', 'why; the user reads it')
    .action((id: string, options: ReasonOptions) => lock(cli, id, options))
  program
    .command('unlock')
    .description('let it through again')
    .argument('<session>', 'id of the session')
    .action((id: string, options: GlobalOptions) => unlock(cli, id, options))
  addApprove(program, cli)
}

async function end(cli: Cli, id: string, options: GlobalOptions & { reason: string }): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  await api.endSession({ params: { id }, body: { reason: options.reason } })
  say(cli, `Session ${safe(id)} ended.\n`)
}

async function lock(cli: Cli, id: string, { reason, ...options }: ReasonOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const session = await api.lockSession({ params: { id }, body: reason === undefined ? {} : { reason } })
  say(cli, `Session ${safe(id)} of ${safe(session.user)} in ${safe(sessionTarget(session))} is locked.\n`)
}

async function unlock(cli: Cli, id: string, options: GlobalOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  await api.unlockSession({ params: { id }, body: {} })
  say(cli, `Session ${safe(id)} is unlocked.\n`)
}

const APPROVALS: Listing<ApprovalItem> = {
  name: (item) => item.id,
  columns: [
    { title: 'ID', value: (item) => item.id },
    { title: 'USER', value: (item) => item.user },
    { title: 'TARGET', value: sessionTarget, shrinkTo: 16, cut: 'middle' },
    { title: 'LINE', value: (item) => item.line, shrinkTo: 20 },
    { title: 'WAITS', value: (item) => ageOf(item.askedAt, Date.now()) },
    { title: 'YOURS', value: (item) => (item.mine ? 'yes' : 'no') },
    { title: 'RULE', value: (item) => item.rule, wide: true },
    { title: 'REASON', value: (item) => item.reason, wide: true, shrinkTo: 12 },
    { title: 'CWD', value: (item) => item.cwd, wide: true },
    { title: 'SESSION', value: (item) => item.session, wide: true },
    { title: 'UNTIL', value: (item) => item.endsAt, wide: true },
  ],
}

function addApprove(program: Command, cli: Cli): void {
  program
    .command('approve')
    .description('list the lines that wait for a yes, or answer one')
    .argument('[id]', 'the line to approve; none: list them')
    .addOption(new Option('--refuse', 'say no'))
    .option('--note <text>', 'what the person reads with the answer')
    .addOption(outputOption())
    .action((id: string | undefined, options: ApproveOptions) => approve(cli, id, options))
}

interface ApproveOptions extends GlobalOptions {
  readonly refuse?: boolean
  readonly note?: string
  readonly output: OutputFormat
}

async function approve(cli: Cli, id: string | undefined, options: ApproveOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  if (id === undefined) {
    const { items } = await api.listApprovals()
    await printRows(cli, items, APPROVALS, options.output)
    return
  }
  const verdict = options.refuse ? 'refuse' : 'approve'
  const answer = await api.decideApproval({ params: { id }, body: { verdict, ...(options.note !== undefined && { note: options.note }) } })
  say(cli, `${safe(answer.id)}: ${answer.verdict}.\n`)
}
