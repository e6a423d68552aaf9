/** opsctl users get, put, rm: the accounts that live in Redis. Nothing here ever prints the hash of a password. */
import { readFile } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import type { AccountItem } from '../../wire/api/lists.js'
import { type Cli, type GlobalOptions, gatewayOf, printRows, say } from '../cli.js'
import { UsageError } from '../problem.js'
import { outputOption } from '../program.js'
import { firstLine } from '../terminal/prompt.js'
import type { Listing, OutputFormat } from '../text/output.js'
import { safe } from '../text/safe.js'
import { type ChangeOptions, ifVersionOption, matching } from './rule-list.js'

interface PutOptions extends ChangeOptions {
  readonly group?: readonly string[]
  readonly role?: readonly AccountItem['roles'][number][]
  readonly keyFile?: readonly string[]
  readonly hashStdin?: boolean
  /** commander's name for --no-password: false when it stands there. */
  readonly password: boolean
}

export function addUsers(program: Command, cli: Cli): void {
  const users = program.command('users').description('the accounts that live in Redis (admins)')
  users
    .command('get')
    .description('the accounts; whether there is a password, never its hash')
    .argument('[user]', 'only this one')
    .addOption(outputOption())
    .action((name: string | undefined, options: GlobalOptions & { output: OutputFormat }) => get(cli, name, options))
  users
    .command('put')
    .description('add an account, or change one: what is not named stays')
    .argument('<user>', 'its name')
    .option('-g, --group <names...>', 'its groups')
    .addOption(new Option('-r, --role <names...>', 'its roles').choices(['user', 'auditor', 'admin']))
    .option('-k, --key-file <files...>', 'its keys: .pub files')
    .option('--hash-stdin', 'read the hash of its password from stdin, as `opserver passwd` prints it')
    .option('--no-password', 'no password opens it')
    .addOption(ifVersionOption())
    .addHelpText('after', '\nExample:\n  opserver passwd | opsctl users put bob --group dev --hash-stdin')
    .action((name: string, options: PutOptions) => put(cli, name, options))
  users
    .command('rm')
    .description('remove an account; its sessions and logins end at every gateway')
    .argument('<user>', 'its name')
    .addOption(ifVersionOption())
    .action((name: string, options: ChangeOptions) => remove(cli, name, options))
}

const ACCOUNTS: Listing<AccountItem> = {
  name: (user) => user.name,
  columns: [
    { title: 'NAME', value: (user) => user.name },
    { title: 'GROUPS', value: (user) => user.groups.join(','), shrinkTo: 8 },
    { title: 'ROLES', value: (user) => user.roles.join(',') },
    { title: 'PASSWORD', value: (user) => (user.hasPassword ? 'yes' : 'no') },
    { title: 'KEYS', value: (user) => user.keys.length, align: 'right' },
  ],
}

async function get(cli: Cli, name: string | undefined, { output, ...options }: GlobalOptions & { output: OutputFormat }): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const { version, users, trouble } = await api.getUserList()
  if (trouble !== undefined) say(cli, `dockin: ${safe(trouble)}\n`)
  const found = name === undefined ? users : users.filter((user) => user.name === name)
  if (found.length === 0 && name !== undefined) throw new UsageError(`no account is called "${name}"`, 1)
  await printRows(cli, found, ACCOUNTS, output)
  if (output === 'table' || output === 'wide') say(cli, `version ${version}\n`)
}

async function put(cli: Cli, name: string, options: PutOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const { group, role, keyFile, hashStdin } = options
  if (hashStdin && !options.password) throw new UsageError('--hash-stdin, or --no-password, not both')
  const keys = keyFile && (await Promise.all(keyFile.map(keyOf)))
  const password = hashStdin ? (await firstLine(cli.streams)).trim() : options.password ? undefined : null
  if (password === '') throw new UsageError('no hash came from stdin', 1)
  const body = { ...(group && { groups: [...group] }), ...(role && { roles: [...role] }), ...(keys && { keys }), ...(password !== undefined && { password }) }
  const headers = matching(options.ifVersion ?? (await api.getUserList()).version)
  const { version } = await api.putUser({ params: { name }, body, headers })
  say(cli, `Account ${safe(name)}: version ${version} is in force.\n`)
}

async function keyOf(file: string): Promise<string> {
  return (
    await readFile(file, 'utf8').catch((error: Error) => {
      throw new UsageError(`cannot read "${file}": ${error.message}`, 1)
    })
  ).trim()
}

async function remove(cli: Cli, name: string, options: ChangeOptions): Promise<void> {
  const { api } = await gatewayOf(cli, options)
  const { version } = await api.deleteUser({ params: { name }, headers: matching(options.ifVersion ?? (await api.getUserList()).version) })
  say(cli, `Account ${safe(name)} removed; version ${version} is in force.\n`)
}
