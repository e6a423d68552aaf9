/** opsctl rules get, put, rm, from: the rules that live in Redis. */
import { type Command, Option } from 'commander'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, printRows, say } from '../cli.js'
import { UsageError } from '../problem.js'
import { exitWith, outputOption, wholeNumber } from '../program.js'
import { type ListFile, readListFile, versionLine } from '../text/list-file.js'
import { type Listing, type OutputFormat, yamlText } from '../text/output.js'
import { safe } from '../text/safe.js'

export interface ChangeOptions extends GlobalOptions {
  readonly ifVersion?: number
}
type Entry = Readonly<Record<string, unknown>>

/** `--if-version`, of every command that changes a list. */
export function ifVersionOption(): Option {
  return new Option('--if-version <n>', 'only if this version is still in force').argParser(wholeNumber('--if-version', 1))
}

/** If-Match of a version. */
export function matching(version: number): { readonly 'if-match': string } {
  return { 'if-match': `"${version}"` }
}

export function addRuleList(rules: Command, cli: Cli): void {
  rules
    .command('get')
    .description('the rules that live in Redis, as they were written; -o yaml is for editing and putting back')
    .argument('[rule]', 'only this one')
    .addOption(outputOption())
    .action((name: string | undefined, options: GlobalOptions & { output: OutputFormat }) => get(cli, name, options))
  rules
    .command('put')
    .description('put rules in force at every gateway: all of them (a list), or one (a map)')
    .requiredOption('-f, --file <file>', 'YAML in the form of rules.yaml')
    .option('--before <rule>', 'one rule: its place is before this one')
    .option('--dry-run', 'only say what is wrong')
    .addOption(ifVersionOption())
    .addHelpText('after', '\nExample:\n  opsctl rules get -o yaml > rules.yaml; vi rules.yaml; opsctl rules put -f rules.yaml')
    .action((options: PutOptions) => put(cli, options))
  rules
    .command('rm')
    .description('remove a rule at every gateway')
    .argument('<rule>', 'its name')
    .addOption(ifVersionOption())
    .action((name: string, options: ChangeOptions) => remove(cli, name, options))
  rules
    .command('from')
    .description('from where a rule lets people come; with networks: change it')
    .argument('<rule>', 'its name')
    .argument('[network...]', 'addresses and networks, like 192.0.2.7 or 10.0.0.0/8')
    .option('--anywhere', 'from anywhere')
    .addOption(ifVersionOption())
    .action((name: string, networks: string[], options: FromOptions) => from(cli, name, networks, options))
}

interface PutOptions extends ChangeOptions {
  readonly file: string
  readonly before?: string
  readonly dryRun?: boolean
}
interface FromOptions extends ChangeOptions {
  readonly anywhere?: boolean
}

const RULES: Listing<Entry> = {
  name: (rule) => String(rule.name),
  columns: [
    { title: 'NAME', value: (rule) => String(rule.name) },
    { title: 'WHO', value: (rule) => shortJson(rule.who), shrinkTo: 12 },
    { title: 'FROM', value: (rule) => (Array.isArray(rule.from) ? rule.from.join(',') : 'anywhere'), shrinkTo: 8 },
    { title: 'WHERE', value: (rule) => shortJson(rule.where), shrinkTo: 12 },
    { title: 'COMMANDS', value: (rule) => shortJson(rule.commands ?? 'all'), shrinkTo: 10 },
    { title: 'MESSAGE', value: (rule) => (typeof rule.message === 'string' ? rule.message : ''), wide: true, shrinkTo: 10 },
  ],
}

function shortJson(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value).replaceAll('"', '')
}

async function get(cli: Cli, name: string | undefined, { output, ...options }: GlobalOptions & { output: OutputFormat }): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const { version, rules, trouble } = await api.getRuleList()
  if (trouble !== undefined) say(cli, `dockin: ${safe(trouble)}\n`)
  const found = name === undefined ? rules : rules.filter((rule) => rule.name === name)
  if (found.length === 0 && name !== undefined) throw new UsageError(`no rule is called "${name}"`, 1)
  if (output === 'yaml') return out(cli, versionLine('rules', version) + yamlText(name === undefined ? found : found[0]))
  await printRows(cli, found, RULES, output)
  if (output === 'table' || output === 'wide') say(cli, `version ${version}\n`)
}

async function put(cli: Cli, options: PutOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  const file = await readListFile(options.file)
  const { before } = options
  if (before !== undefined && !file.isOne) throw new UsageError('--before is for one rule, and the file holds a list')
  const expected = options.ifVersion ?? file.version
  // a whole list that was read who knows when would undo what others have done since
  if (expected === undefined && !file.isOne)
    throw new UsageError('which version was this list made from? Keep the first line of `opsctl rules get -o yaml`, or say --if-version')
  if (!(await checkDraft(cli, gateway, file))) return exitWith(1)
  if (options.dryRun) return
  const headers = matching(expected ?? (await gateway.api.getRuleList()).version)
  const { version } = file.isOne
    ? await putOne(gateway, file.entries[0] as Entry, before, headers)
    : await gateway.api.putRuleList({ body: { rules: [...file.entries] }, headers })
  say(cli, `Version ${version} is in force.\n`)
}

function putOne({ api }: Gateway, rule: Entry, before: string | undefined, headers: Readonly<Record<string, string>>): Promise<{ version: number }> {
  return api.putRule({ params: { name: String(rule.name) }, query: before === undefined ? {} : { before }, body: { rule }, headers })
}

/** Prints each mistake with its place in the file; what is right is counted. @returns whether it is right */
export async function checkDraft(cli: Cli, { api }: Gateway, file: ListFile): Promise<boolean> {
  const { rules, examples, mistakes } = await api.checkRuleList({ body: { rules: [...file.entries] } })
  for (const mistake of mistakes) say(cli, `${file.mistakeText(mistake)}\n`)
  if (mistakes.length === 0) say(cli, `${rules} rules, ${examples} examples as expected\n`)
  return mistakes.length === 0
}

async function remove(cli: Cli, name: string, options: ChangeOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const { version } = await api.deleteRule({ params: { name }, headers: matching(options.ifVersion ?? (await api.getRuleList()).version) })
  say(cli, `Rule ${safe(name)} removed; version ${version} is in force.\n`)
}

async function from(cli: Cli, name: string, networks: readonly string[], { anywhere, ...options }: FromOptions): Promise<void> {
  if (anywhere && networks.length > 0) throw new UsageError('name networks, or --anywhere, not both')
  const { api } = await gatewayOf(cli, options)
  const params = { name }
  const known = await api.getAddresses({ params })
  if (!anywhere && networks.length === 0) return out(cli, (known.from ?? ['anywhere']).map((one) => `${safe(one)}\n`).join(''))
  const headers = matching(options.ifVersion ?? known.version)
  const { version } = anywhere ? await api.deleteAddresses({ params, headers }) : await api.putAddresses({ params, body: { from: [...networks] }, headers })
  say(cli, `Version ${version} is in force.\n`)
}
