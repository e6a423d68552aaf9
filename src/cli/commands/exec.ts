/** opsctl exec and ssh. */
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { type Cli, type GlobalOptions, gatewayOf, say, withInterrupt } from '../cli.js'
import { runOverWebSocket } from '../exec/channel.js'
import { runInTerminal } from '../exec/terminal.js'
import { UsageError } from '../problem.js'
import { exitWith } from '../program.js'
import { isTerminal, type TerminalOutput, writeOut } from '../streams.js'
import { isBinary } from '../text/safe.js'
import { addressFrom, type TargetOptions } from './target.js'

interface ExecOptions extends GlobalOptions, TargetOptions {
  readonly stdin?: boolean
  readonly tty?: boolean
  readonly container?: string
}

export function addExec(program: Command, cli: Cli): void {
  program
    .command('exec')
    .description('run a command in a container and exit with its code')
    .argument('<target>', 'POD[.NAMESPACE[.CLUSTER]][+CONTAINER]')
    .argument('[command...]', 'the command; write -- before it')
    .option('-i, --stdin', 'pass stdin on')
    .option('-t, --tty', 'a terminal')
    .option('-c, --container <name>', 'container, where the target names none')
    .option('-n, --namespace <name>', 'namespace, where the target names none')
    .option('--cluster <name>', 'cluster, where the target names none')
    .addHelpText(
      'after',
      '\nExamples:\n  opsctl exec web-0.shop -- ls -l /srv\n  opsctl exec -it web-0.shop -- bash\n  tar c dir | opsctl exec -i web-0.shop -- tar x -C /tmp',
    )
    .action((target: string, command: string[], options: ExecOptions) => exec(cli, target, command, options))
  program
    .command('ssh')
    .description('open a shell in a container; ~. ends it, ~? helps')
    .argument('<target>', 'POD[.NAMESPACE[.CLUSTER]][+CONTAINER]')
    .argument('[command...]', 'run this with a terminal in place of a shell; write -- before it')
    .option('-c, --container <name>', 'container, where the target names none')
    .option('-n, --namespace <name>', 'namespace, where the target names none')
    .option('--cluster <name>', 'cluster, where the target names none')
    .action((target: string, command: string[], options: ExecOptions) => ssh(cli, target, command, options))
}

async function exec(cli: Cli, named: string, argv: readonly string[], options: ExecOptions): Promise<void> {
  if (argv.length === 0 && !options.tty) throw new UsageError(`name a command: opsctl exec ${named} -- COMMAND (or -it for a shell)`)
  const target = addressFrom(named, options)
  const { connection } = await gatewayOf(cli, options)
  const { stdin, stdout, stderr } = cli.streams
  if (options.tty && options.stdin && isTerminal(stdin)) {
    exitWith(await runInTerminal(cli.streams, connection, { target, container: options.container, argv, escapes: false }))
    return
  }
  if (options.tty) say(cli, 'Unable to use a TTY: stdin is not a terminal, or -i is missing\n')
  const ask = { target, container: options.container, argv, tty: false, stdin: options.stdin ?? false }
  const ends = { ...(options.stdin && { stdin }), stdout: guardedAgainstBinary(cli, stdout), stderr }
  exitWith(await withInterrupt((signal) => runOverWebSocket(connection, ask, ends, signal)))
}

async function ssh(cli: Cli, named: string, argv: readonly string[], options: ExecOptions): Promise<void> {
  const { stdin, stdout } = cli.streams
  if (!isTerminal(stdin) || !isTerminal(stdout)) throw new UsageError('ssh needs a terminal at both ends; for programs there is opsctl exec')
  const { connection } = await gatewayOf(cli, options)
  exitWith(await runInTerminal(cli.streams, connection, { target: addressFrom(named, options), container: options.container, argv, escapes: true }))
}

/** Binary output is said once and kept from a terminal, which it could leave unusable; a file or a pipe gets it as it is. */
function guardedAgainstBinary(cli: Cli, stdout: TerminalOutput): Writable {
  if (!isTerminal(stdout)) return stdout
  let isDropped = false
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!isDropped && isBinary(chunk)) {
        isDropped = true
        say(cli, 'warning: the output is binary and is not shown on the terminal; send it into a file or a pipe\n')
      }
      if (isDropped) done()
      else writeOut(stdout, chunk).then(() => done(), done)
    },
  })
}
