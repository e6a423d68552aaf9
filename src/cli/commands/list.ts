/** opsctl list and dockctl cmdb: what the resource manager knows. */
import type { Command } from 'commander'
import type { CmdbPod } from '../../wire/api/resource-manager.js'
import { type Cli, type GlobalOptions, gatewayOf, printRows } from '../cli.js'
import { askCmdb } from '../dock/find-pods.js'
import { UsageError } from '../problem.js'
import { outputOption } from '../program.js'
import type { Listing, OutputFormat } from '../text/output.js'

export const CMDB: Listing<CmdbPod> = {
  name: (item) => item.target,
  columns: [
    { title: 'SUBSYSTEM', value: (item) => item.subsystem, shrinkTo: 9 },
    { title: 'DCN', value: (item) => item.dcn },
    { title: 'POD', value: (item) => item.pod, shrinkTo: 12, cut: 'middle' },
    { title: 'NAMESPACE', value: (item) => item.namespace, wide: true },
    { title: 'CLUSTER', value: (item) => item.cluster, shrinkTo: 7 },
    { title: 'POD-IP', value: (item) => item.podIp },
    { title: 'HOST-IP', value: (item) => item.hostIp },
    { title: 'STATE', value: (item) => item.state, shrinkTo: 7 },
    { title: 'READY', value: (item) => (item.ready ? 'yes' : 'no') },
    { title: 'ID', value: (item) => item.subsystemId, wide: true },
    { title: 'NODE', value: (item) => item.node, wide: true },
    { title: 'CPU', value: (item) => item.cpu, wide: true, align: 'right' },
    { title: 'MEM', value: (item) => item.mem, wide: true, align: 'right' },
  ],
}

interface ListOptions extends GlobalOptions {
  readonly output: OutputFormat
}

/** @param name "list" of opsctl, "cmdb" of dockctl */
export function addCmdb(program: Command, cli: Cli, name: 'list' | 'cmdb'): void {
  program
    .command(name)
    .description('list pods by what the resource manager knows of them')
    .argument('<what>', 'subsystem, its id, node IP, pod IP, pod name or pod-set id')
    .argument('[dcn]', 'only in these DCNs, separated by commas')
    .addOption(outputOption())
    .action((what: string, dcn: string | undefined, options: ListOptions) => cmdb(cli, what, dcn, options))
}

async function cmdb(cli: Cli, what: string, dcn: string | undefined, options: ListOptions): Promise<void> {
  const pods = await askCmdb(await gatewayOf(cli, options), what, dcn)
  if (pods.length === 0) throw new UsageError(`the resource manager knows no pod for "${what}"${dcn === undefined ? '' : ` in ${dcn}`} that you may see`, 255)
  await printRows(cli, pods, CMDB, options.output)
}
