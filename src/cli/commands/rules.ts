/** opsctl rules test: what the policy would answer. */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { parse } from 'yaml'
import { z } from 'zod'
import { DOORS } from '../../core/types.js'
import { type RuleTestResult, testBody } from '../../wire/api/rules.js'
import { allItems } from '../api/pages.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, printRows, say } from '../cli.js'
import { UsageError } from '../problem.js'
import { exitWith, outputOption, wholeNumber } from '../program.js'
import { readListFile } from '../text/list-file.js'
import type { Listing, OutputFormat } from '../text/output.js'
import { jsonText, yamlText } from '../text/output.js'
import { safe } from '../text/safe.js'
import { parseTime } from './filters.js'
import { addRuleList, checkDraft } from './rule-list.js'
import { addressFrom } from './target.js'

interface TestOptions extends GlobalOptions {
  readonly as?: string
  readonly door: (typeof DOORS)[number]
  readonly cwd?: string
  readonly file?: string
  readonly replay?: boolean
  readonly live?: boolean
  readonly draft?: string
  readonly from?: string
  readonly since?: Date
  readonly user?: string
  readonly limit: number
  readonly output: OutputFormat
}

/** An example of a file: a question, and the answer that is wanted. */
const examplesSchema = z.array(testBody.partial({ door: true, cwd: true, dialect: true }).extend({ expect: z.enum(['allow', 'deny']) }))
type Example = z.output<typeof examplesSchema>[number]

interface Checked {
  readonly user: string
  readonly target: string
  readonly door: string
  readonly line: string
  readonly wanted: string
  readonly answer: string
  readonly rule: string
  readonly reason: string
}

export function addRules(program: Command, cli: Cli): void {
  const rules = program.command('rules').description('ask the rules, and change those that live in Redis (admins)')
  addRuleList(rules, cli)
  rules
    .command('test')
    .description('what the policy would answer; nothing is run. Exit 0: allowed (or all as wanted), 254: refused, 1: other than wanted')
    .argument('[target]', 'POD[.NAMESPACE[.CLUSTER]][+CONTAINER]')
    .argument('[line...]', 'command line; none: whether the door opens')
    .option('--as <user>', 'ask for this user (auditors)')
    .addOption(new Option('--door <door>', 'the way in').choices([...DOORS]).default('shell'))
    .option('--cwd <dir>', 'directory of the shell')
    .option('-f, --file <file>', 'YAML list of {target, line, user, door, expect: allow|deny}: all of them')
    .option('--live', 'the examples beside the rules that live in Redis (admins)')
    .option('--draft <file>', 'the examples beside the rules of a file, and everything else that is wrong with it (admins)')
    .addOption(new Option('--from <ip>', 'ask as if coming from this address'))
    .option('--replay', 'ask again every line of the audit log, and show those that would be answered otherwise')
    .option('--since <time>', 'with --replay: not before', (text: string) => parseTime(text))
    .option('--user <name>', 'with --replay: of this user')
    .option('--limit <n>', 'with --replay: most lines', wholeNumber('--limit', 1), 1000)
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  opsctl rules test web-0.shop -- rm -rf /tmp/x\n  opsctl rules test --as bob --door sftp web-0.shop\n  opsctl rules test -f examples.yaml\n  opsctl rules test --replay --since 7d',
    )
    .action((target: string | undefined, line: string[], options: TestOptions) => test(cli, target, line, options))
}

async function test(cli: Cli, target: string | undefined, line: readonly string[], options: TestOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  if (options.draft !== undefined) return exitWith((await checkDraft(cli, gateway, await readListFile(options.draft))) ? 0 : 1)
  if (options.live) return checkLive(cli, gateway)
  if (options.file !== undefined) return checkAll(cli, gateway, await readExamples(options.file), options)
  if (options.replay) return replay(cli, gateway, options)
  if (target === undefined) throw new UsageError('name a target, or --file, --live, --draft or --replay')
  const { as: user, door, cwd, from } = options
  const body = { target: addressFrom(target), door, ...defined({ user, cwd, from }) }
  const answer = await gateway.api.testRules({ body: line.length === 0 ? body : { ...body, line: line.join(' ') } })
  if (options.output === 'json') await out(cli, jsonText(answer))
  else if (options.output === 'yaml') await out(cli, yamlText(answer))
  else await out(cli, answerText(answer))
  exitWith(answer.allow ? 0 : 254)
}

function defined<T extends object>(facts: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

async function checkLive(cli: Cli, { api }: Gateway): Promise<void> {
  const { rules, examples, mistakes } = await api.checkRuleList({ body: {} })
  for (const { name, index, key, message } of mistakes) await out(cli, `${safe(`rule ${name ?? index}: ${key}: ${message}`)}\n`)
  say(cli, `${rules} rules, ${examples} examples, ${mistakes.length} answered otherwise\n`)
  exitWith(mistakes.length > 0 ? 1 : 0)
}

function answerText(answer: RuleTestResult): string {
  const lines: (string | false | undefined)[] = [
    `${answer.allow ? 'allowed' : 'refused'} ${answer.rule === undefined ? 'by no rule' : `by rule ${answer.rule}`} in ${answer.target}`,
    answer.demand && `  still needs: ${answer.demand === 'confirm' ? 'a confirmation' : 'an approval'}`,
    answer.reason && `  reason: ${answer.reason}`,
    answer.message && `  message: ${answer.message}`,
    answer.commands &&
      answer.commands.length > 0 &&
      `  understood as: ${answer.commands.map((words) => words.join(' ')).join(' | ')}${answer.confidence ? ` (${answer.confidence})` : ''}`,
  ]
  return lines.flatMap((one) => (one ? [`${safe(one)}\n`] : [])).join('')
}

async function readExamples(file: string): Promise<readonly Example[]> {
  const parsed = examplesSchema.safeParse(parse(await readFile(file, 'utf8')))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UsageError(`${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a list of examples'}`)
}

async function ask({ api }: Gateway, { expect, ...body }: Example): Promise<Checked> {
  const answer = await api.testRules({ body })
  return {
    user: body.user ?? '',
    target: body.target,
    door: body.door ?? 'shell',
    line: body.line ?? '',
    wanted: expect,
    answer: answer.allow ? 'allow' : 'deny',
    rule: answer.rule ?? '',
    reason: answer.reason ?? '',
  }
}

const CHECKED: Listing<Checked> = {
  name: (item) => item.line,
  columns: [
    { title: 'WANTED', value: (item) => item.wanted },
    { title: 'ANSWER', value: (item) => item.answer },
    { title: 'USER', value: (item) => item.user },
    { title: 'TARGET', value: (item) => item.target, shrinkTo: 12, cut: 'middle' },
    { title: 'DOOR', value: (item) => item.door },
    { title: 'LINE', value: (item) => item.line, shrinkTo: 20 },
    { title: 'RULE', value: (item) => item.rule },
    { title: 'REASON', value: (item) => item.reason, wide: true },
  ],
}

async function checkAll(cli: Cli, gateway: Gateway, examples: readonly Example[], options: TestOptions): Promise<void> {
  const wrong: Checked[] = []
  for (const example of examples) {
    const checked = await ask(gateway, example)
    if (checked.answer !== checked.wanted) wrong.push(checked)
  }
  if (wrong.length > 0) await printRows(cli, wrong, CHECKED, options.output)
  say(cli, `${examples.length} asked, ${wrong.length} answered otherwise\n`)
  exitWith(wrong.length > 0 ? 1 : 0)
}

/** What each line was answered when it was typed is what is wanted: the rest is what a change of the rules would break or let through. */
async function replay(cli: Cli, gateway: Gateway, options: TestOptions): Promise<void> {
  const { since, user, limit } = options
  const query = { type: 'command', ...(user !== undefined && { user }), ...(since && { from: since.toISOString() }) }
  const events = await allItems((page) => gateway.api.listAudit({ query: { ...page, ...query } }), limit)
  const examples = new Map<string, Example>()
  for (const event of events) {
    if (event.type !== 'command' || event.line === undefined || !event.target) continue
    const { cluster, namespace, pod, container } = event.target
    const example: Example = {
      target: `${cluster}/${namespace}/${pod}/${container}`,
      line: event.line,
      ...(event.user !== undefined && { user: event.user }),
      ...(event.door !== undefined && { door: event.door }),
      ...(event.cwd?.startsWith('/') && { cwd: event.cwd }),
      expect: event.verdict === 'allow' || event.verdict === 'approved' ? 'allow' : 'deny',
    }
    examples.set(JSON.stringify(example), example)
  }
  await checkAll(cli, gateway, [...examples.values()], options)
}
