/** opsctl verify and version. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { OpsError } from '../../core/errors.js'
import { type Cli, type GlobalOptions, gatewayOf, out } from '../cli.js'
import { UsageError } from '../problem.js'
import { exitWith } from '../program.js'
import { safe, safeLines } from '../text/safe.js'
import { verifyEvidence } from '../verify.js'

interface VerifyOptions {
  readonly key?: string
  readonly anchor?: string
}

export function addVerify(program: Command, cli: Cli): void {
  program
    .command('verify')
    .description('check offline that a copied audit folder or an unpacked evidence pack is whole; exit 1 names the first that is not')
    .argument('<dir>', 'the folder')
    .option('--key <file>', 'public key of the gateway, kept elsewhere (PEM)')
    .option('--anchor <file>', 'signed head that was kept elsewhere')
    .action((dir: string, options: VerifyOptions) => verify(cli, dir, options))
}

async function verify(cli: Cli, dir: string, { key, anchor }: VerifyOptions): Promise<void> {
  const options = { ...(key !== undefined && { key }), ...(anchor !== undefined && { anchor }) }
  const report = await verifyEvidence(dir, options).catch((error: unknown) => {
    throw error instanceof OpsError ? new UsageError(error.detail ?? error.message) : error
  })
  await out(cli, safeLines(report.text))
  exitWith(report.exit)
}

/** Version of this program, and of the gateway where there is a login that may ask. */
export function addVersion(program: Command, cli: Cli): void {
  program
    .command('version')
    .description('print the version of the client; with --server that of the gateway too (auditors)')
    .option('--server', 'ask the gateway')
    .action(async (options: GlobalOptions & { server?: boolean }) => {
      await out(cli, `${cli.program} ${packageVersion()}\n`)
      if (!options.server) return
      const { api } = await gatewayOf(cli, options)
      await out(cli, `opserver ${safe((await api.health()).version)}\n`)
    })
}

/** From the nearest package.json: sources and build stand at different depths below it. */
function packageVersion(): string {
  for (let dir = import.meta.dirname; dir !== dirname(dir); dir = dirname(dir)) {
    try {
      const { version }: { version?: unknown } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
      return String(version)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}
