/** dockctl ssh: a menu of pods, then a shell in one. */
import type { Command } from 'commander'
import type { CmdbPod } from '../../wire/api/resource-manager.js'
import type { TargetItem } from '../../wire/api/targets.js'
import { allItems } from '../api/pages.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, say } from '../cli.js'
import { askCmdb } from '../dock/find-pods.js'
import { PodMenu } from '../dock/menu.js'
import { matcherOf } from '../dock/selector.js'
import { runInTerminal } from '../exec/terminal.js'
import { UsageError } from '../problem.js'
import { exitWith } from '../program.js'
import { isTerminal, widthOf } from '../streams.js'
import { askLine } from '../terminal/prompt.js'
import { safe } from '../text/safe.js'
import { drawTable } from '../text/table.js'
import { CMDB } from './list.js'

interface SshOptions extends GlobalOptions {
  readonly container?: string
}

export function addDockSsh(program: Command, cli: Cli): void {
  program
    .command('ssh')
    .description('choose a pod from a menu (number, filter, DCN) and open a shell in it')
    .argument('[what]', 'subsystem, id, IP, pod name or selector; none: all pods that you may see')
    .argument('[dcn]', 'only in these DCNs, separated by commas')
    .option('-c, --container <name>', 'container (default: the one that the pod names)')
    .action((what: string | undefined, dcn: string | undefined, options: SshOptions) => dockSsh(cli, what, dcn, options))
}

async function dockSsh(cli: Cli, what: string | undefined, dcn: string | undefined, options: SshOptions): Promise<void> {
  if (!isTerminal(cli.streams.stdin) || !isTerminal(cli.streams.stdout))
    throw new UsageError('ssh needs a terminal at both ends; for programs there is dockctl exec')
  const gateway = await gatewayOf(cli, options)
  const pods = await podsFor(gateway, what, dcn)
  if (pods.length === 0) throw new UsageError(`no pod that you may see matches "${what ?? '*'}"`, 255)
  const pod = pods.length === 1 ? pods[0] : await choose(cli, pods)
  if (!pod) return
  say(cli, `Opening ${safe(pod.target)}\n`)
  exitWith(await runInTerminal(cli.streams, gateway.connection, { target: pod.target, container: options.container, argv: [], escapes: true }))
}

async function podsFor(gateway: Gateway, what: string | undefined, dcn: string | undefined): Promise<readonly CmdbPod[]> {
  if (what !== undefined && !/[=/*?]/.test(what)) {
    const known = await askCmdb(gateway, what, dcn)
    if (known.length > 0 || dcn !== undefined) return known
  }
  const items = await allItems((page) => gateway.api.listTargets({ query: page }))
  return onePerPod(what === undefined ? items : items.filter(matcherOf(what)))
}

/** Pods as the menu shows them where no resource manager was asked. */
function onePerPod(items: readonly TargetItem[]): CmdbPod[] {
  const pods = new Map<string, CmdbPod>()
  for (const { target, podIp, state, ready } of items) {
    const { pod, namespace, cluster, node, labels } = target
    const facts = { pod, namespace, cluster, node, podIp, state, ready, hostIp: '', cpu: '', mem: '' }
    const known = { subsystem: labels.subsystem ?? '', subsystemId: labels['subsystem-id'] ?? '', dcn: labels.dcn ?? '' }
    pods.set(`${cluster}/${namespace}/${pod}`, { target: `${pod}.${namespace}.${cluster}`, ...facts, ...known })
  }
  return [...pods.values()]
}

async function choose(cli: Cli, pods: readonly CmdbPod[]): Promise<CmdbPod | undefined> {
  const menu = new PodMenu(pods)
  await show(cli, menu)
  for (;;) {
    const answer = menu.answer(await askLine(cli.streams, 'Number, text to filter, d DCN, * all, q: '))
    if (answer.kind === 'pod') return answer.pod
    if (answer.kind === 'quit') return undefined
    if (answer.kind === 'unclear') say(cli, `${safe(answer.message)}\n`)
    else await show(cli, menu)
  }
}

async function show(cli: Cli, menu: PodMenu): Promise<void> {
  const rows = menu.shown.map((pod, i) => ({ number: i + 1, pod }))
  const columns = CMDB.columns.map(({ value, ...column }) => ({ ...column, value: (row: (typeof rows)[number]) => value(row.pod) }))
  const numbered = [{ title: '#', value: (row: (typeof rows)[number]) => row.number, align: 'right' as const }, ...columns]
  await out(cli, drawTable(rows, numbered, { width: widthOf(cli.streams.stdout) }))
  say(cli, `${rows.length} pods${menu.condition ? ` with ${safe(menu.condition)}` : ''}; DCNs: ${menu.dcns.map(safe).join(', ') || 'none'}\n`)
}
