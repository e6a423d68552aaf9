/** What every command of opsctl and dockctl works with: streams, the gateway of its context, ways to print. */
import { readFile } from 'node:fs/promises'
import { type ApiClient, createApiClient } from '../wire/api/client.js'
import { Connection, fixedToken, storedTokens, type TokenHome } from './api/connection.js'
import { type Context, ContextStore, contextsPath, serverUrl } from './api/contexts.js'
import { fetchThrough } from './api/fetch.js'
import { refreshTokens } from './api/login.js'
import { UsageError } from './problem.js'
import { type CliStreams, isTerminal, widthOf, writeOut } from './streams.js'
import { type Listing, type OutputFormat, printList } from './text/output.js'
import { type Paint, painter } from './text/style.js'

/** Options that every command has. */
export interface GlobalOptions {
  readonly context?: string
}

export interface Cli {
  readonly program: 'opsctl' | 'dockctl'
  readonly streams: CliStreams
  readonly contexts: ContextStore
  /** Aborted by SIGINT where a command asks for it; see `withInterrupt`. */
  readonly paint: Paint
}

export function createCli(program: Cli['program'], streams: CliStreams): Cli {
  return { program, streams, contexts: new ContextStore(contextsPath(streams.env)), paint: painter(streams.env, isTerminal(streams.stdout)) }
}

/** Writes to stdout with back-pressure. */
export function out(cli: Cli, text: string | Uint8Array): Promise<void> {
  return writeOut(cli.streams.stdout, text)
}

/** A line for the person, on stderr. */
export function say(cli: Cli, text: string): void {
  cli.streams.stderr.write(text)
}

/** Prints a list in the chosen form. An empty table says so on stderr, as kubectl does. */
export async function printRows<T>(cli: Cli, rows: readonly T[], listing: Listing<T>, format: OutputFormat = 'table', headers = true): Promise<void> {
  if (rows.length === 0 && (format === 'table' || format === 'wide')) {
    say(cli, 'nothing found\n')
    return
  }
  await out(cli, printList(rows, listing, { format, width: widthOf(cli.streams.stdout), headers }))
}

export interface Gateway {
  readonly name: string
  readonly context: Context
  readonly connection: Connection
  /** Typed calls of the API over `connection`. */
  readonly api: ApiClient
}

/**
 * The gateway to ask: `--context`, else DOCKIN_SERVER with DOCKIN_TOKEN (a CI job), else DOCKIN_CONTEXT or the current one.
 * @throws UsageError when there is none
 */
export async function gatewayOf(cli: Cli, options: GlobalOptions): Promise<Gateway> {
  const { env } = cli.streams
  if (options.context === undefined && env.DOCKIN_SERVER) {
    const server = serverUrl(env.DOCKIN_SERVER, env.DOCKIN_PLAIN_HTTP === '1')
    if (!env.DOCKIN_TOKEN) throw new UsageError('DOCKIN_SERVER is set and DOCKIN_TOKEN is not')
    const context: Context = { server, ...(env.DOCKIN_CA && { caFile: env.DOCKIN_CA }) }
    return gateway('environment', context, fixedToken(env.DOCKIN_TOKEN))
  }
  const { name, context } = await cli.contexts.find(options.context ?? (env.DOCKIN_CONTEXT || undefined))
  return gateway(name, context, storedTokens(cli.contexts, name))
}

async function gateway(name: string, context: Context, tokens: TokenHome): Promise<Gateway> {
  const connection = new Connection(await endpointOf(context), tokens, refreshTokens)
  return { name, context, connection, api: createApiClient({ baseUrl: context.server, fetch: fetchThrough(connection) }) }
}

/** @throws UsageError when the CA cannot be read */
export async function endpointOf(context: Context): Promise<{ server: string; ca?: string }> {
  if (context.caFile === undefined) return { server: context.server }
  try {
    return { server: context.server, ca: await readFile(context.caFile, 'utf8') }
  } catch (error) {
    throw new UsageError(`cannot read the CA "${context.caFile}": ${(error as Error).message}`)
  }
}

/** Runs `work` with a signal that Ctrl-C aborts; a second Ctrl-C ends the program as it would without us. */
export async function withInterrupt<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const onSignal = (): void => controller.abort()
  process.once('SIGINT', onSignal)
  try {
    return await work(controller.signal)
  } finally {
    process.off('SIGINT', onSignal)
  }
}
