/** opsctl get, sessions, and their watch. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, printRows, withInterrupt } from '../cli.js'
import { matcherOf } from '../dock/selector.js'
import { outputOption, wholeNumber } from '../program.js'
import { jsonLine, type OutputFormat } from '../text/output.js'
import { addSearchOptions, addSessionOptions } from './filters.js'
import { defined, type Filters, type Found, found, RESOURCES, type Resource, resourceNamed } from './resources.js'
import { TARGET_LISTING } from './target.js'
import { watchPods } from './watch.js'

interface GetOptions extends GlobalOptions, Filters {
  readonly output: OutputFormat
  readonly watch?: boolean
  readonly headers: boolean
}

/** How often a watch asks. */
const WATCH_MS = 2000

export function addGet(program: Command, cli: Cli): void {
  const names = RESOURCES.map(({ names: [first] }) => first).join(', ')
  const get = program
    .command('get')
    .description(`list ${names}`)
    .argument('<resource>', names)
    .argument('[name]', 'only this one')
    .option('-n, --namespace <name>', 'pods of this namespace')
    .option('--cluster <name>', 'of this cluster')
    .option('--node <name>', 'pods of this node')
    .option('-l, --selector <labels>', 'pods with these labels: app=web,tier!=cache')
  addSessionOptions(addSearchOptions(get))
  addListOptions(get).action((resource: string, name: string | undefined, options: GetOptions) => list(cli, resourceNamed(resource), name, options))
  addListOptions(addSessionOptions(addSearchOptions(program.command('sessions').description('list sessions, newest first')))).action((options: GetOptions) =>
    list(cli, resourceNamed('sessions'), undefined, options),
  )
}

function addListOptions(command: Command): Command {
  return command
    .option('--limit <n>', 'most sessions', wholeNumber('--limit', 1), 100)
    .addOption(outputOption())
    .option('--no-headers', 'without the line of titles')
    .option('-w, --watch', 'go on with what changes')
}

async function list(cli: Cli, resource: Resource, name: string | undefined, options: GetOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  if (options.watch)
    await withInterrupt((signal) => (resource.isStreamed ? stream(cli, gateway, name, options, signal) : watch(cli, gateway, resource, name, options, signal)))
  else await print(cli, narrowed(await resource.fetch(gateway, options), name), options)
}

/** Rows whose name is it or has it as its pod. */
function narrowed(found: Found, name: string | undefined): Found {
  if (name === undefined) return found
  return found.only(new Set([...found.contents.keys()].filter((key) => key === name || key.split('/')[2] === name)))
}

async function print(cli: Cli, found: Found, { output, headers }: GetOptions): Promise<void> {
  await found.with((items, listing) => printRows(cli, items, listing, output, headers))
}

/** As kubectl: all first, then each row that is new or different, and a line for one that is gone. Ctrl-C ends it well. */
async function watch(cli: Cli, gateway: Gateway, resource: Resource, name: string | undefined, options: GetOptions, signal: AbortSignal): Promise<void> {
  let before: ReadonlyMap<string, string> | undefined
  try {
    for (;;) {
      const found = narrowed(await resource.fetch(gateway, { ...options, signal }), name)
      const changed = new Set([...found.contents].filter(([key, content]) => before?.get(key) !== content).map(([key]) => key))
      if (!before) await printPart(cli, found, options, true)
      else if (changed.size > 0) await printPart(cli, found.only(changed), options, false)
      before = found.contents
      await delay(WATCH_MS, undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** The same, told by the gateway as it happens. */
async function stream(cli: Cli, gateway: Gateway, name: string | undefined, options: GetOptions, signal: AbortSignal): Promise<void> {
  const { cluster, namespace, node, text, selector } = options
  const matches = selector === undefined ? () => true : matcherOf(selector)
  try {
    await watchPods(
      cli,
      gateway,
      {
        query: defined({ cluster, namespace, node, text }),
        wants: (item) => matches(item) && (name === undefined || item.name === name || item.target.pod === name),
        print: (items, isFirst) => printPart(cli, found(items, TARGET_LISTING), options, isFirst),
      },
      signal,
    )
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** A stream of JSON is one object a line. */
async function printPart(cli: Cli, found: Found, options: GetOptions, isFirst: boolean): Promise<void> {
  if (options.output === 'json')
    await out(
      cli,
      found.with((items) => items.map(jsonLine).join('')),
    )
  else if (found.count > 0) await print(cli, found, { ...options, headers: options.headers && isFirst })
}
