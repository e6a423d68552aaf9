/** opsctl logs: what the program of a container writes. */
import { type Command, Option } from 'commander'
import { parseSize } from '../../core/units.js'
import { jsonLines } from '../api/lines.js'
import { number, type Row, text } from '../api/rows.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, withInterrupt } from '../cli.js'
import { errorCode, GatewayError, UsageError } from '../problem.js'
import { exitWith, wholeNumber } from '../program.js'
import { DrawingFilter } from '../replay/filter.js'
import { isTerminal, type TerminalOutput, writeOut } from '../streams.js'
import { parseTime } from './filters.js'
import { addressFrom, type TargetOptions } from './target.js'

interface LogsOptions extends GlobalOptions, TargetOptions {
  readonly container?: string
  readonly follow?: boolean
  readonly tail?: number
  readonly since?: Date
  readonly timestamps?: boolean
  readonly previous?: boolean
  readonly grep?: string[]
  readonly exclude?: string[]
  readonly ignoreCase?: boolean
  readonly stream?: 'stdout' | 'stderr'
  readonly limitBytes?: number
}

export function addLogs(program: Command, cli: Cli): void {
  const several = (text: string, before: string[] = []) => [...before, text]
  program
    .command('logs')
    .description('print what the program of a container has written; the container may have ended')
    .argument('<target>', 'POD[.NAMESPACE[.CLUSTER]][+CONTAINER]')
    .option('-c, --container <name>', 'container, where the target names none')
    .option('-n, --namespace <name>', 'namespace, where the target names none')
    .option('--cluster <name>', 'cluster, where the target names none')
    .option('-f, --follow', 'go on until the container ends; Ctrl-C leaves')
    .option('--tail <n>', 'only the last so many lines, counted before --grep', wholeNumber('--tail'))
    .option('--since <time>', 'not before: 15m, 2h, 2026-11-23', (text: string) => parseTime(text))
    .option('--timestamps', 'each line begins with its time')
    .option('-p, --previous', 'of the container before this one: what a crash left')
    .option('--grep <text>', 'lines that hold this text; given again: all of them', several)
    .option('--exclude <text>', 'lines that do not hold this text', several)
    .option('-i, --ignore-case', 'for --grep and --exclude')
    .addOption(new Option('--stream <name>', 'only this one').choices(['stdout', 'stderr']))
    .option('--limit-bytes <size>', 'most output (default: 16MiB, with -f 1GiB)', sizeOf)
    .addHelpText(
      'after',
      '\nstdout and stderr of the container are stdout and stderr here, where its log keeps them apart.\n\nExamples:\n  opsctl logs web-0.shop --tail 100\n  opsctl logs -f web-0.shop --grep ERROR --exclude healthz\n  opsctl logs -p web-0.shop',
    )
    .action((target: string, options: LogsOptions) => logs(cli, target, options))
}

function sizeOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  try {
    return parseSize(text)
  } catch (error) {
    throw new UsageError(`--limit-bytes: ${(error as Error).message}`)
  }
}

async function logs(cli: Cli, named: string, options: LogsOptions): Promise<void> {
  const target = addressFrom(named, options)
  const gateway = await gatewayOf(cli, options)
  await withInterrupt(async (signal) => {
    try {
      exitWith(await read(cli, gateway, target, options, signal))
    } catch (error) {
      // who stops following has seen what they wanted
      if (!signal.aborted) throw error
      exitWith(options.follow ? 0 : 130)
    }
  })
}

async function read(cli: Cli, { api }: Gateway, target: string, options: LogsOptions, signal: AbortSignal): Promise<number> {
  const answer = await api.readLogs({ query: queryOf(target, options), headers: { accept: 'application/x-ndjson' }, signal })
  const outputs = { stdout: shown(cli.streams.stdout), stderr: shown(cli.streams.stderr) }
  for await (const line of jsonLines(answer)) {
    const stream = text(line, 'stream')
    if (stream === 'stdout' || stream === 'stderr') await outputs[stream](bytesOf(line))
    const exit = number(line, 'exit')
    if (exit === undefined) continue
    const message = text(line, 'error.message')
    if (message !== '') throw new GatewayError(errorCode(text(line, 'error.code')), message)
    // a limit that was asked for is no failure; the line that says so stands on stderr
    return options.limitBytes === undefined ? exit : 0
  }
  throw new GatewayError('PROTOCOL_ERROR', 'the gateway ended the log without saying why')
}

function queryOf(target: string, options: LogsOptions) {
  const { container, tail, since, grep, exclude, stream, limitBytes } = options
  const flags = (['follow', 'timestamps', 'previous', 'ignoreCase'] as const).flatMap((name) => (options[name] ? [[name, 'true' as const]] : []))
  return {
    target,
    ...(container !== undefined && { container }),
    ...(tail !== undefined && { tail }),
    ...(since && { since: since.toISOString() }),
    ...(grep && { grep }),
    ...(exclude && { exclude }),
    ...(stream && { stream }),
    ...(limitBytes !== undefined && { limitBytes }),
    ...(Object.fromEntries(flags) as { follow?: 'true'; timestamps?: 'true'; previous?: 'true'; ignoreCase?: 'true' }),
  }
}

function bytesOf(line: Row): Buffer {
  const base64 = text(line, 'base64')
  return base64 === '' ? Buffer.from(text(line, 'data')) : Buffer.from(base64, 'base64')
}

/** A log holds what strangers sent: on a terminal it may set colours and nothing else. */
function shown(output: TerminalOutput): (bytes: Buffer) => Promise<void> {
  if (!isTerminal(output)) return (bytes) => writeOut(output, bytes)
  const filter = new DrawingFilter({ coloursOnly: true })
  return (bytes) => writeOut(output, filter.push(bytes.toString()))
}
