#!/usr/bin/env node
/** The opserver program: its commands, the ready line, and what the signals mean. Each command loads what it needs. */
import { Command, Option } from 'commander'
import type { Gateway } from './build/gateway.js'
import { ConfigError, printMistakes } from './config/mistakes.js'
import type { Config } from './config/values.js'
import { loadConfig } from './config.js'
import { toOpsError } from './core/errors.js'
import { createLogger } from './core/log.js'

interface ServeOptions {
  readonly config?: string
  readonly demo?: boolean
  readonly dataDir: string
  readonly sshPort: number
  readonly httpPort: number
}

const program = new Command('opserver')
  .description('SSH bastion gateway for containers')
  .enablePositionalOptions()
  .option('--config <file>', 'serve with this configuration')
  .addOption(new Option('--demo', 'serve the embedded default: shells on this machine as pods').conflicts('config'))
  .option('--data-dir <dir>', 'where the demo keeps its data', 'data')
  .option('--ssh-port <port>', 'SSH port of the demo; 0 takes a free one', port, 2222)
  .option('--http-port <port>', 'HTTP port of the demo; 0 takes a free one', port, 8080)
  .action(serve)

program
  .command('check')
  .description('print every mistake in a configuration with file, line and key, and every example that its rule answers otherwise; exit 1 when there is one')
  .requiredOption('--config <file>', 'the configuration')
  .option('--replay <dir>', 'ask the command lines of these audit files (DATA/audit) of the rules, and print what would change')
  .action(async ({ config, replay }: { config: string; replay?: string }) => {
    const { checkReport } = await import('./build/check.js')
    const { text, exit } = await checkReport(config, replay)
    process.stdout.write(text)
    process.exitCode = exit
  })

program
  .command('certs <dir>')
  .description('make a CA with gateway and agent certificates for mutual TLS, 0600')
  .option('--agent <name>', 'name of an agent, as its node is called; repeat for more', (name: string, names: string[]) => [...names, name], [])
  .action(async (dir: string, options: { agent: string[] }) => {
    const { makeCertificates } = await import('./certs.js')
    const files = await makeCertificates(dir, { agents: options.agent })
    process.stdout.write(files.map((file) => `${file}\n`).join(''))
  })

program
  .command('passwd')
  .description('ask for a password and print its hash for users.yaml')
  .action(async () => {
    const { runPasswd } = await import('./passwd.js')
    process.exitCode = await runPasswd()
  })

await program.parseAsync().catch(fail)

function port(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > 65535) throw new Error(`"${text}" is not a port`)
  return value
}

async function serve(options: ServeOptions): Promise<void> {
  if (options.config === undefined && !options.demo) program.error('give --config FILE or --demo (see --help)', { exitCode: 2 })
  const [{ buildGateway }, { prepareDemo }] = await Promise.all([import('./build/gateway.js'), import('./demo.js')])
  const demo = options.demo ? await prepareDemo(options.dataDir, options.sshPort, options.httpPort) : undefined
  const config: Config = demo?.config ?? (await loadConfig(options.config ?? ''))
  const gateway = await buildGateway(config, createLogger(demo ? 'warn' : config.logLevel))
  stopOnSignals(gateway, config)
  const { ssh, http } = gateway
  if (demo) process.stdout.write(await demo.announce(ssh, http))
  process.stdout.write(`opserver ready ssh=${ssh.host}:${ssh.port} http=${http.host}:${http.port}\n`)
}

/** The first SIGTERM or SIGINT drains, the second stops at once. */
function stopOnSignals(gateway: Gateway, { drainTimeoutMs }: Config): void {
  let isDraining = false
  const stop = (): void => {
    if (isDraining) process.exit(1)
    isDraining = true
    gateway.drain(drainTimeoutMs).then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
}

/** What cannot start says why in a line or a list, and nothing of a stack. */
function fail(error: unknown): never {
  if (error instanceof ConfigError) process.stderr.write(printMistakes(error.mistakes, error.warnings))
  else process.stderr.write(`opserver: ${toOpsError(error).message}\n`)
  process.exit(1)
}
