/** opsctl login, logout, whoami, context. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { ApiError } from '../../wire/api/client.js'
import { serverUrl } from '../api/contexts.js'
import { logIn } from '../api/login.js'
import { type Cli, endpointOf, type GlobalOptions, gatewayOf, out, printRows, say } from '../cli.js'
import { GatewayError, UsageError } from '../problem.js'
import { outputOption } from '../program.js'
import { isTerminal } from '../streams.js'
import { askLine, askSecret, firstLine } from '../terminal/prompt.js'
import { jsonText, type OutputFormat, yamlText } from '../text/output.js'
import { safe } from '../text/safe.js'

interface LoginOptions extends GlobalOptions {
  readonly user?: string
  readonly ca?: string
  readonly passwordStdin?: boolean
  readonly otp?: string
  readonly plainHttp?: boolean
  readonly ssh?: string
}

export function addLogin(program: Command, cli: Cli): void {
  program
    .command('login')
    .description('log in to a gateway and keep the tokens (0600)')
    .argument('[server]', 'address of the gateway, like https://bastion:8443; default: that of the context')
    .option('-u, --user <name>', 'user name; asked for when absent')
    .option('--password-stdin', 'read the password from stdin')
    .option('--otp <code>', 'second factor')
    .option('--ca <file>', "PEM of the CA that signed the gateway's certificate")
    .option('--ssh <host:port>', 'address of the SSH door, for ssh-config')
    .option('--plain-http', 'allow a gateway without TLS beyond this machine')
    .action((server: string | undefined, options: LoginOptions) => login(cli, server, options))
  program
    .command('logout')
    .description('revoke the tokens of a context and forget them')
    .action((options: GlobalOptions) => logout(cli, options))
  program
    .command('whoami')
    .description('who the gateway takes you for')
    .addOption(outputOption())
    .action((options: GlobalOptions & { output: OutputFormat }) => whoami(cli, options))
  const contexts = program.command('context').description('the gateways that you have logged in to')
  contexts
    .command('list')
    .description('list them')
    .addOption(outputOption())
    .action((options: { output: OutputFormat }) => listContexts(cli, options.output))
  contexts
    .command('use')
    .description('make one the current')
    .argument('<name>', 'its name')
    .action((name: string) => useContext(cli, name))
}

async function login(cli: Cli, address: string | undefined, options: LoginOptions): Promise<void> {
  const file = await cli.contexts.read()
  const name = options.context ?? (address === undefined ? file.current : undefined) ?? 'default'
  const known = file.contexts[name]
  if (address === undefined && !known) throw new UsageError('name the gateway: opsctl login https://HOST[:PORT]')
  const server = serverUrl(address ?? known?.server ?? '', options.plainHttp ?? known?.server.startsWith('http:') ?? false)
  const caFile = options.ca === undefined ? known?.caFile : resolve(options.ca)
  const ssh = options.ssh ?? known?.ssh
  const context = { server, ...(caFile !== undefined && { caFile }), ...(ssh !== undefined && { ssh }) }
  const user = options.user ?? (await askUser(cli, known?.user))
  const password = options.passwordStdin ? await firstLine(cli.streams) : await askSecret(cli.streams, `Password of ${safe(user)} at ${server}: `)
  if (password === '') throw new UsageError('no password given', 1)
  const tokens = await logIn(await endpointOf(context), { user, password, ...(options.otp !== undefined && { otp: options.otp }) })
  await cli.contexts.put(name, { ...context, user, tokens }, true)
  say(cli, `Logged in to ${server} as ${safe(user)} (context ${name}).\n`)
}

async function askUser(cli: Cli, known: string | undefined): Promise<string> {
  const proposed = known ?? cli.streams.env.USER
  if (!isTerminal(cli.streams.stdin)) {
    if (known !== undefined) return known
    throw new UsageError('name the user: --user NAME')
  }
  const answer = (await askLine(cli.streams, `User${proposed ? ` [${safe(proposed)}]` : ''}: `)).trim()
  const user = answer === '' ? proposed : answer
  if (!user) throw new UsageError('no user given', 1)
  return user
}

async function logout(cli: Cli, options: GlobalOptions): Promise<void> {
  const { name, context } = await cli.contexts.find(options.context)
  if (!context.tokens) {
    say(cli, `You were not logged in (context ${name}).\n`)
    return
  }
  const { api } = await gatewayOf(cli, { context: name })
  try {
    await api.logout({ body: {} })
  } catch (error) {
    if (!(error instanceof GatewayError) && !(error instanceof ApiError)) throw error
    if (error.code !== 'AUTH_FAILED') say(cli, `dockin: the gateway could not be told: ${safe(error.message)}\n`)
  }
  await cli.contexts.putTokens(name, undefined)
  say(cli, `Logged out of ${context.server}.\n`)
}

async function whoami(cli: Cli, options: GlobalOptions & { output: OutputFormat }): Promise<void> {
  const { name, context, api } = await gatewayOf(cli, options)
  const me = await api.whoami()
  if (options.output === 'json') return out(cli, jsonText(me))
  if (options.output === 'yaml') return out(cli, yamlText(me))
  if (options.output === 'name') return out(cli, `${safe(me.user)}\n`)
  const rows: readonly [string, string][] = [
    ['User', me.user],
    ['Groups', me.groups.join(', ')],
    ['Roles', me.roles.join(', ')],
    ['Gateway', `${context.server} (context ${name})`],
  ]
  return out(cli, rows.map(([title, value]) => `${`${title}:`.padEnd(9)} ${safe(value) || '-'}\n`).join(''))
}

async function listContexts(cli: Cli, format: OutputFormat): Promise<void> {
  const { current, contexts } = await cli.contexts.read()
  const rows = Object.entries(contexts).map(([name, context]) => ({
    current: name === current,
    name,
    server: context.server,
    user: context.user ?? '',
    // never the tokens themselves
    loggedIn: context.tokens !== undefined,
  }))
  await printRows(
    cli,
    rows,
    {
      name: (row) => row.name,
      columns: [
        { title: 'CURRENT', value: (row) => (row.current ? '*' : '') },
        { title: 'NAME', value: (row) => row.name },
        { title: 'SERVER', value: (row) => row.server },
        { title: 'USER', value: (row) => row.user },
        { title: 'LOGGED-IN', value: (row) => (row.loggedIn ? 'yes' : 'no') },
      ],
    },
    format,
  )
}

async function useContext(cli: Cli, name: string): Promise<void> {
  await cli.contexts.find(name)
  await cli.contexts.change((file) => ({ ...file, current: name }))
  say(cli, `Context ${name} is the current one.\n`)
}
