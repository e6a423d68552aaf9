/** dockctl top: what the pods of a subsystem use. */
import { setTimeout as delay } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { sizeText } from '../../core/units.js'
import { MAX_TOP_PODS, type TopItem } from '../../wire/api/top.js'
import { ageOf } from '../api/rows.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, printRows, say, withInterrupt } from '../cli.js'
import { findPods } from '../dock/find-pods.js'
import { type PodItem, podName } from '../dock/selector.js'
import { UsageError } from '../problem.js'
import { outputOption, wholeNumber } from '../program.js'
import { isTerminal, widthOf } from '../streams.js'
import { jsonLine, type Listing, type OutputFormat, printList } from '../text/output.js'
import { safe } from '../text/safe.js'

const SORTS = ['cpu', 'memory', 'restarts', 'name'] as const
type Sort = (typeof SORTS)[number]

interface TopOptions extends GlobalOptions {
  readonly dcn?: string
  readonly sort: Sort
  readonly watch?: boolean
  readonly interval: number
  readonly max: number
  readonly output: OutputFormat
}

export function addTop(program: Command, cli: Cli): void {
  program
    .command('top')
    .description('show what pods use: CPU, memory against its limit, restarts, and how they ended last')
    .argument('<selector...>', 'subsystem, id, IP, node, pod name (with *), CLUSTER/NAMESPACE/POD or label=value')
    .option('--dcn <list>', 'only in these DCNs, separated by commas')
    .addOption(new Option('--sort <by>', 'the most first').choices([...SORTS]).default('cpu'))
    .option('-w, --watch', 'show it anew again and again; Ctrl-C ends it')
    .option('--interval <seconds>', 'with --watch', wholeNumber('--interval', 1), 2)
    .option('--max <n>', 'most pods', wholeNumber('--max', 1), 500)
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nA "-" is what nobody knows: no limit is set, or the cluster does not say.\n\nExamples:\n  dockctl top shop-web\n  dockctl top app=web -w --sort memory',
    )
    .action((selectors: string[], options: TopOptions) => top(cli, selectors, options))
}

/** A pod with its containers taken together. */
interface PodUse {
  readonly item: TopItem
  readonly cpuMillis: number | undefined
  readonly cpuLimitMillis: number | undefined
  readonly memoryBytes: number | undefined
  readonly memoryLimitBytes: number | undefined
  readonly restarts: number | undefined
}

const COLUMNS: Listing<PodUse>['columns'] = [
  { title: 'POD', value: ({ item }) => podName(podItem(item)), shrinkTo: 16, cut: 'middle' },
  { title: 'CPU', value: ({ cpuMillis }) => (cpuMillis === undefined ? undefined : `${cpuMillis}m`), align: 'right' },
  { title: 'CPU%', value: ({ cpuMillis, cpuLimitMillis }) => percent(cpuMillis, cpuLimitMillis), align: 'right' },
  { title: 'MEMORY', value: ({ memoryBytes }) => (memoryBytes === undefined ? undefined : sizeText(memoryBytes)), align: 'right' },
  { title: 'LIMIT', value: ({ memoryLimitBytes }) => (memoryLimitBytes === undefined ? undefined : sizeText(memoryLimitBytes)), align: 'right' },
  { title: 'MEM%', value: ({ memoryBytes, memoryLimitBytes }) => percent(memoryBytes, memoryLimitBytes), align: 'right' },
  { title: 'RESTARTS', value: ({ restarts }) => restarts, align: 'right' },
  { title: 'STATE', value: ({ item }) => statesOf(item), shrinkTo: 8 },
  { title: 'LAST END', value: ({ item }) => endOf(item), shrinkTo: 12 },
  { title: 'NODE', value: ({ item }) => item.node, wide: true },
  { title: 'CONTAINERS', value: ({ item }) => item.containers.map(({ name }) => name).join(','), wide: true },
]
const POD_LISTING: Listing<PodUse> = { name: ({ item }) => podName(podItem(item)), columns: COLUMNS }
/** JSON and YAML are what the API answered. */
const ITEM_LISTING: Listing<TopItem> = { name: (item) => podName(podItem(item)), columns: [] }

async function top(cli: Cli, selectors: readonly string[], options: TopOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  const pods = await findPods(gateway, selectors, options)
  if (!options.watch) return void (await show(cli, await ask(gateway, pods), options))
  await withInterrupt(async (signal) => {
    try {
      for (;;) {
        const answer = await ask(gateway, pods, signal)
        if (isTerminal(cli.streams.stdout)) await redraw(cli, answer, options)
        else await show(cli, answer, options)
        await delay(options.interval * 1000, undefined, { signal })
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  })
}

interface Answer {
  readonly items: readonly TopItem[]
  readonly problems: readonly string[]
}

async function ask({ api }: Gateway, pods: readonly PodItem[], signal?: AbortSignal): Promise<Answer> {
  const items: TopItem[] = []
  const problems = new Set<string>()
  for (let at = 0; at < pods.length; at += MAX_TOP_PODS) {
    const part = pods.slice(at, at + MAX_TOP_PODS).map(({ cluster, namespace, pod }) => ({ cluster, namespace, pod }))
    const answer = await api.top({ body: { pods: part }, ...(signal && { signal }) })
    items.push(...answer.items)
    for (const problem of answer.problems) problems.add(problem)
  }
  if (items.length === 0) throw new UsageError('none of these pods is there any more', 255)
  return { items, problems: [...problems] }
}

async function show(cli: Cli, { items, problems }: Answer, { output, watch, sort }: TopOptions): Promise<void> {
  const sorted = sortedUses(items, sort)
  if (output === 'json' && watch) await out(cli, jsonLine({ at: new Date().toISOString(), items: sorted.map(({ item }) => item), problems }))
  else if (output === 'json' || output === 'yaml')
    await printRows(
      cli,
      sorted.map(({ item }) => item),
      ITEM_LISTING,
      output,
    )
  else await printRows(cli, sorted, POD_LISTING, output)
  if (output !== 'json' || !watch) for (const problem of problems) say(cli, `warning: ${safe(problem)}\n`)
}

/** The screen from its first line on: as many pods as it has lines for. */
async function redraw(cli: Cli, { items, problems }: Answer, options: TopOptions): Promise<void> {
  if (options.output !== 'table' && options.output !== 'wide') return show(cli, { items, problems }, options)
  const { stdout } = cli.streams
  const width = widthOf(stdout) ?? 80
  const uses = sortedUses(items, options.sort)
  const room = Math.max(1, (stdout.rows || 24) - 3 - problems.length)
  const table = printList(uses.slice(0, room), POD_LISTING, { format: options.output, width })
  const more = uses.length > room ? `… and ${uses.length - room} more\n` : ''
  const head = `${uses.length} ${uses.length === 1 ? 'pod' : 'pods'}, the most ${options.sort} first, every ${options.interval} s; Ctrl-C ends\n`
  await out(cli, `\x1b[H\x1b[J${head}${table}${more}${problems.map((problem) => `warning: ${safe(problem).slice(0, width - 10)}\n`).join('')}`)
}

function sortedUses(items: readonly TopItem[], sort: Sort): PodUse[] {
  const uses = items.map(useOf)
  const names = new Intl.Collator('en', { numeric: true })
  const byName = (a: PodUse, b: PodUse) => names.compare(podName(podItem(a.item)), podName(podItem(b.item)))
  const keys = { cpu: 'cpuMillis', memory: 'memoryBytes', restarts: 'restarts' } as const
  if (sort === 'name') return uses.sort(byName)
  const key = keys[sort]
  return uses.sort((a, b) => (b[key] ?? -1) - (a[key] ?? -1) || byName(a, b))
}

/** Limits count only where every container has one: a pod with one container that has none may use anything. */
function useOf(item: TopItem): PodUse {
  const sum = (key: 'cpuMillis' | 'memoryBytes' | 'restarts') => {
    const known = item.containers.flatMap((container) => container[key] ?? [])
    return known.length === 0 ? undefined : known.reduce((total, one) => total + one, 0)
  }
  const limit = (key: 'cpuLimitMillis' | 'memoryLimitBytes') => {
    const known = item.containers.flatMap((container) => container[key] ?? [])
    return known.length < item.containers.length ? undefined : known.reduce((total, one) => total + one, 0)
  }
  return {
    item,
    cpuMillis: sum('cpuMillis'),
    cpuLimitMillis: limit('cpuLimitMillis'),
    memoryBytes: sum('memoryBytes'),
    memoryLimitBytes: limit('memoryLimitBytes'),
    restarts: sum('restarts'),
  }
}

function podItem({ cluster, namespace, pod }: TopItem): PodItem {
  return { id: `${cluster}/${namespace}/${pod}`, cluster, namespace, pod }
}

function percent(used: number | undefined, limit: number | undefined): string | undefined {
  return used === undefined || limit === undefined || limit === 0 ? undefined : `${Math.round((used / limit) * 100)}%`
}

function statesOf({ containers }: TopItem): string {
  const odd = [...new Set(containers.map(({ state }) => state).filter((state) => state !== 'Running'))]
  return odd.length === 0 ? 'Running' : odd.join(',')
}

/** "OOMKilled 3m ago (exit 137)": of the container that ended last; and what was killed inside of one that went on. */
function endOf({ containers }: TopItem): string {
  const ends = containers.flatMap(({ lastEnd }) => lastEnd ?? []).sort((a, b) => b.at.localeCompare(a.at))
  const kills = containers.reduce((total, { oomKills = 0 }) => total + oomKills, 0)
  const [last] = ends
  const ended = last ? `${last.reason || 'Ended'} ${ageOf(last.at, Date.now())} ago (exit ${last.exitCode})` : ''
  return [ended, kills > 0 ? `${kills} OOM ${kills === 1 ? 'kill' : 'kills'} inside` : ''].filter((part) => part !== '').join('; ')
}
