/** opsctl describe: one thing, all of it. */
import type { Command } from 'commander'
import type { RuleItem } from '../../wire/api/rules.js'
import type { CommandItem, SessionDetail } from '../../wire/api/sessions.js'
import type { TargetItem } from '../../wire/api/targets.js'
import { allItems } from '../api/pages.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out } from '../cli.js'
import { matcherOf } from '../dock/selector.js'
import { UsageError } from '../problem.js'
import { outputOption } from '../program.js'
import { nearNames, suggestion } from '../text/near.js'
import { jsonText, type OutputFormat, yamlText } from '../text/output.js'
import { safe } from '../text/safe.js'
import { drawTable } from '../text/table.js'
import { durationText, sessionTarget } from './resources.js'

type Lines = readonly (readonly [string, string | number | undefined])[]
interface Described {
  readonly value: unknown
  readonly name: string
  readonly text: string
}
interface DescribeOptions extends GlobalOptions {
  readonly output: OutputFormat
}

const DESCRIBERS: Readonly<Record<string, (gateway: Gateway, name: string) => Promise<Described>>> = { pod, session, rule }

export function addDescribe(program: Command, cli: Cli): void {
  program
    .command('describe')
    .description('show one pod, session or rule in full')
    .argument('<resource>', Object.keys(DESCRIBERS).join(', '))
    .argument('<name>', 'its name or id')
    .addOption(outputOption())
    .action((resource: string, name: string, options: DescribeOptions) => describe(cli, resource, name, options))
}

async function describe(cli: Cli, resource: string, name: string, options: DescribeOptions): Promise<void> {
  const kind = resource.toLowerCase().replace(/s$/, '').replace(/^po$/, 'pod')
  const describer = Object.hasOwn(DESCRIBERS, kind) ? DESCRIBERS[kind] : undefined
  const kinds = Object.keys(DESCRIBERS)
  if (!describer) throw new UsageError(`there is nothing to describe as "${resource}"${suggestion(kind, kinds) || `; there are ${kinds.join(', ')}`}`)
  const described = await describer(await gatewayOf(cli, options), name)
  if (options.output === 'json') await out(cli, jsonText(described.value))
  else if (options.output === 'yaml') await out(cli, yamlText(described.value))
  else await out(cli, options.output === 'name' ? `${safe(described.name)}\n` : described.text)
}

/** "Name:   value" lines; what is not known is left out. */
function linesText(lines: Lines): string {
  const known = lines.filter(([, value]) => value !== undefined && value !== '')
  const width = Math.max(...known.map(([title]) => title.length)) + 2
  return known.map(([title, value]) => `${`${title}:`.padEnd(width)} ${safe(String(value))}\n`).join('')
}

async function pod({ api }: Gateway, name: string): Promise<Described> {
  const all = await allItems((page) => api.listTargets({ query: page }))
  const items = all.filter(matcherOf(name))
  const uids = new Set(items.map((item) => `${item.target.cluster}/${item.target.uid}`))
  if (items.length === 0) {
    const near = nearNames(name, [...new Set(all.map((item) => item.target.pod))])
    throw new UsageError(`no pod "${name}" among those you may see${near.length > 0 ? ` (did you mean "${near.join('" or "')}"?)` : ''}`, 255)
  }
  if (uids.size > 1)
    throw new UsageError(
      `several pods match "${name}": ${items
        .slice(0, 5)
        .map((item) => item.name)
        .join(', ')}`,
      255,
    )
  return { value: items, name: items[0]?.name ?? '', text: podText(items) }
}

function podText(items: readonly TargetItem[]): string {
  const [first] = items
  if (!first) return ''
  const { target } = first
  const labels = Object.entries(target.labels).map(([key, value]) => `${key}=${value}`)
  const head = linesText([
    ['Pod', target.pod],
    ['Namespace', target.namespace],
    ['Cluster', target.cluster],
    ['Node', target.node],
    ['IP', first.podIp],
    ['UID', target.uid],
    ['Labels', labels.join(', ')],
    ['Seen by rule', first.rule],
    ['Address', first.address],
  ])
  const table = drawTable(items, [
    { title: '  CONTAINER', value: (item) => `  ${item.target.container}` },
    { title: 'STATE', value: (item) => item.state },
    { title: 'READY', value: (item) => (item.ready ? 'yes' : 'no') },
    { title: 'ID', value: (item) => (typeof item.target.containerId === 'string' ? item.target.containerId : '') },
  ])
  return `${head}Containers:\n${table}`
}

async function session({ api }: Gateway, id: string): Promise<Described> {
  const value = await api.getSession({ params: { id } })
  const commands = await allItems((page) => api.listCommands({ params: { id }, query: page }), 1000)
  return { value: { ...value, commandLines: commands }, name: value.id, text: sessionText(value) + commandsText(commands) }
}

function sessionText(item: SessionDetail): string {
  return linesText([
    ['Session', item.id],
    ['User', `${item.user} from ${item.from}`],
    ['Target', sessionTarget(item)],
    ['Door', item.door],
    ['Rule', item.rule],
    ['State', item.locked ? `${item.state}, locked by ${item.locked.by}` : item.state],
    ['Started', item.startedAt],
    ['Ended', item.endedAt],
    ['Lasted', durationText(item.ms)],
    ['Exit', item.exit],
    ['Reason', item.reason],
    ['Command', item.command],
    ['Through', item.via],
    ['Bytes in, out', item.bytesIn === undefined ? undefined : `${item.bytesIn}, ${item.bytesOut ?? 0}`],
    ['Batch', item.batch],
    ['Watched by', item.watchers],
    ['Recording', item.hasRecording ? `opsctl replay ${item.id}` : 'none'],
    ['Reviewed', item.review ? `${item.review.at} by ${item.review.by}: ${item.review.note}` : undefined],
  ])
}

function commandsText(commands: readonly CommandItem[]): string {
  if (commands.length === 0) return ''
  const table = drawTable(commands, [
    { title: '  AT', value: (item) => `  ${item.offset.toFixed(1)}s`, align: 'right' },
    { title: 'VERDICT', value: (item) => item.verdict },
    { title: 'EXIT', value: (item) => item.status, align: 'right' },
    { title: 'LINE', value: (item) => (item.line ?? `base64:${item.lineBase64 ?? ''}`) + (item.reason === undefined ? '' : `  (${item.reason})`) },
  ])
  return `Commands:\n${table}`
}

async function rule({ api }: Gateway, name: string): Promise<Described> {
  const { items } = await api.listRules()
  const item = items.find((one) => one.name === name)
  const names = items.map((one) => one.name)
  if (!item) throw new UsageError(`no rule "${name}"${suggestion(name, names) || `; there are ${names.join(', ')}`}`, 255)
  return { value: item, name: item.name, text: ruleText(item, items.indexOf(item)) }
}

function ruleText(item: RuleItem, at: number): string {
  const who = [...item.users.map((user) => `user ${user}`), ...item.groups.map((group) => `group ${group}`)]
  const head = linesText([
    ['Rule', item.name],
    ['Place', `${at + 1}; the first that matches decides`],
    ['Who', who.join(', ')],
    ['Doors', item.doors.join(', ')],
    ['Message', item.message],
  ])
  // the rest is as deep as the rules file itself: YAML reads best
  const deep = { where: item.where, ...(item.commands && { commands: item.commands }), ...(item.files && { files: item.files }) }
  return head + yamlText(deep)
}
