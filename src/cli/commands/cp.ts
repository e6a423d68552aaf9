/** opsctl cp and dockctl cp. */
import type { Command } from 'commander'
import { sizeText } from '../../core/units.js'
import { batchExit, type Outcome } from '../batch/outcome.js'
import { type Cli, type GlobalOptions, gatewayOf, out, say, withInterrupt } from '../cli.js'
import { newBatchId } from '../dock/batch-files.js'
import { findPods } from '../dock/find-pods.js'
import { runBatchAtTerminal } from '../dock/run-batch.js'
import { podName } from '../dock/selector.js'
import { countsText, resultsText } from '../dock/show.js'
import { type Copied, type CopyOptions, download, nothingCopied, upload } from '../files/copy.js'
import { parsePlace } from '../files/place.js'
import { remoteFiles } from '../files/remote.js'
import { GatewayError, UsageError } from '../problem.js'
import { exitWith, wholeNumber } from '../program.js'
import { isTerminal } from '../streams.js'
import { progressText } from '../terminal/progress.js'
import { StatusLine } from '../terminal/status-line.js'
import { safe } from '../text/safe.js'
import { addressFrom } from './target.js'

interface CpOptions extends GlobalOptions {
  readonly container?: string
  readonly recursive?: boolean
  readonly resume?: boolean
  readonly preserve?: boolean
}

export function addCp(program: Command, cli: Cli): void {
  copyOptions(program.command('cp').description('copy files to or from a container; each is decided and logged'))
    .argument('<from>', 'POD:PATH or a local path')
    .argument('<to>', 'POD:PATH or a local path')
    .option('-p, --preserve', 'keep modes, and times on the way down')
    .addHelpText('after', '\nExamples:\n  opsctl cp web-0.shop:/var/log/app.log .\n  opsctl cp -r ./conf web-0.shop:/etc/app')
    .action((from: string, to: string, options: CpOptions) => cp(cli, from, to, options))
}

function copyOptions(command: Command): Command {
  return command
    .option('-r, --recursive', 'folders with what is in them')
    .option('-c, --container <name>', 'container')
    .option('--resume', 'leave alone what is there already with the same size')
}

async function cp(cli: Cli, fromText: string, toText: string, options: CpOptions): Promise<void> {
  const [from, to] = [parsePlace(fromText), parsePlace(toText)]
  const { connection } = await gatewayOf(cli, options)
  const progress = new CopyProgress(cli)
  const copied = nothingCopied()
  try {
    await withInterrupt(async (signal) => {
      const how = progress.options(options, signal)
      if (from.kind === 'remote' && to.kind === 'local')
        await download(remoteFiles(connection, addressFrom(from.target), { container: options.container }), from.path, to.path, how, copied)
      else if (from.kind === 'local' && to.kind === 'remote')
        await upload(remoteFiles(connection, addressFrom(to.target), { container: options.container }), from.path, to.path, how, copied)
      else throw new UsageError('one of the two must be POD:PATH and the other a local path')
    })
  } finally {
    progress.end(copied)
  }
  exitWith(progress.skips > 0 ? 1 : 0)
}

class CopyProgress {
  skips = 0
  readonly #cli: Cli
  readonly #line: StatusLine
  #begun = performance.now()

  constructor(cli: Cli) {
    this.#cli = cli
    this.#line = new StatusLine(cli.streams.stderr)
  }

  options({ recursive = false, resume = false, preserve = false }: CpOptions, signal: AbortSignal): CopyOptions {
    return {
      recursive,
      resume,
      preserve,
      signal,
      progress: (name, bytes, total) => {
        if (bytes === 0) this.#begun = performance.now()
        const width = (this.#cli.streams.stderr.columns || 80) - 1
        this.#line.update(progressText({ name: safe(name), bytes, total, ms: performance.now() - this.#begun }, width))
      },
      skipped: (path, why) => {
        this.skips++
        this.#line.print(`skipped ${safe(path)}: it ${safe(why)}\n`)
      },
    }
  }

  /** A single file that went well is as quiet as cp's. */
  end({ files, bytes, kept }: Copied): void {
    this.#line.clear()
    if (files + kept > 1 || kept > 0) say(this.#cli, `${files} files, ${sizeText(bytes)}${kept > 0 ? `; ${kept} were there already` : ''}\n`)
  }
}

interface DockCpOptions extends CpOptions {
  readonly dcn?: string
  readonly parallel: number
  readonly max: number
  readonly failFast?: boolean
  readonly canary: number
  readonly yes?: boolean
}

export function addDockCp(program: Command, cli: Cli): void {
  copyOptions(program.command('cp').description('copy a file or a folder to many pods'))
    .argument('<from>', 'local path')
    .argument('<to>', 'SELECTOR:PATH')
    .option('--dcn <list>', 'only in these DCNs, separated by commas')
    .option('-p, --parallel <n>', 'how many at once', wholeNumber('--parallel', 1), 8)
    .option('--canary <n>', 'copy to so many first, and ask before the rest', wholeNumber('--canary'), 0)
    .option('--fail-fast', 'start no more after the first pod that does not succeed')
    .option('-y, --yes', 'do not ask: go on if the whole canary succeeded')
    .option('--max <n>', 'most pods', wholeNumber('--max', 1), 500)
    .addHelpText('after', '\nExample:\n  dockctl cp ./app.conf shop-web:/etc/app/app.conf --canary 1')
    .action((from: string, to: string, options: DockCpOptions) => dockCp(cli, from, to, options))
}

async function dockCp(cli: Cli, from: string, to: string, options: DockCpOptions): Promise<void> {
  const colon = to.indexOf(':')
  if (colon < 1) throw new UsageError('write SELECTOR:PATH for where it goes')
  const path = to.slice(colon + 1) || '.'
  const gateway = await gatewayOf(cli, options)
  const pods = await findPods(gateway, [to.slice(0, colon)], options)
  const quiet = { progress: () => {}, recursive: options.recursive ?? false, resume: options.resume ?? false, preserve: false }
  const batch = newBatchId(new Date())
  const outcomes = await runBatchAtTerminal(cli, {
    pods,
    parallel: options.parallel,
    failFast: options.failFast ?? false,
    canary: options.canary,
    yes: options.yes ?? false,
    run: async (pod, signal): Promise<Outcome> => {
      const begun = performance.now()
      const copied = nothingCopied()
      const left: string[] = []
      const ms = () => Math.round(performance.now() - begun)
      try {
        const how = { ...quiet, signal, skipped: (file: string, why: string) => void left.push(`skipped ${file}: it ${why}\n`) }
        await upload(remoteFiles(gateway.connection, podName(pod), { batch }), from, path, how, copied)
        const stdout = Buffer.from(`${copied.files} files, ${sizeText(copied.bytes)}${copied.kept > 0 ? `; ${copied.kept} were there already` : ''}\n`)
        return { kind: 'exited', code: left.length > 0 ? 1 : 0, stdout, stderr: Buffer.from(left.join('')), truncated: false, ms: ms() }
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof GatewayError && error.exit === 254) return { kind: 'refused', message: error.message, ms: ms() }
        throw error
      }
    },
  })
  await out(cli, resultsText(outcomes, { paint: cli.paint, isTerminal: isTerminal(cli.streams.stdout), each: false }))
  say(cli, `${countsText(outcomes.values())} (batch ${batch})\n`)
  exitWith(batchExit([...outcomes.values()]))
}
