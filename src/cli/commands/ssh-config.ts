/** opsctl ssh-config: a block for ~/.ssh/config, so that plain OpenSSH and what builds on it find the pods by name. */
import type { Command } from 'commander'
import { allItems } from '../api/pages.js'
import { type Cli, type GlobalOptions, gatewayOf, out } from '../cli.js'
import { matcherOf, type PodItem, podsOf } from '../dock/selector.js'
import { UsageError } from '../problem.js'

interface SshConfigOptions extends GlobalOptions {
  readonly ssh?: string
  readonly user?: string
  readonly identity?: string
}

export function addSshConfig(program: Command, cli: Cli): void {
  program
    .command('ssh-config')
    .description('print a block for ~/.ssh/config: then `ssh web-0.shop.a` works, and so do VS Code and Ansible')
    .argument('[selector...]', 'pods: name (with *), CLUSTER/NAMESPACE/POD or label=value; none: all that you may see')
    .option('--ssh <host:port>', 'address of the SSH door (default: that of the login, else the host of the gateway and port 2222)')
    .option('-u, --user <name>', 'user (default: that of the login)')
    .option('--identity <file>', 'private key')
    .action((selectors: string[], options: SshConfigOptions) => sshConfig(cli, selectors, options))
}

async function sshConfig(cli: Cli, selectors: readonly string[], options: SshConfigOptions): Promise<void> {
  const { api, context } = await gatewayOf(cli, options)
  const user = options.user ?? context.user ?? (await api.whoami()).user
  const door = parseDoor(options.ssh ?? context.ssh ?? `${new URL(context.server).hostname}:2222`)
  const facts: BlockFacts = { user, ...door, ...(options.identity !== undefined && { identity: options.identity }) }
  const targets = await allItems((page) => api.listTargets({ query: page }))
  const matchers = selectors.map(matcherOf)
  const pods = podsOf(selectors.length === 0 ? targets : targets.filter((item) => matchers.some((matches) => matches(item))))
  if (pods.length === 0) throw new UsageError('no pod that you may see matches', 255)
  await out(cli, podBlocks(pods, facts))
}

export interface BlockFacts {
  readonly user: string
  readonly host: string
  readonly port: number
  readonly identity?: string
}

/** "[::1]:2222" -> its parts. @throws UsageError */
export function parseDoor(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?$/.exec(text)
  const port = Number(match?.[3] ?? 22)
  if (!match || port < 1 || port > 65535) throw new UsageError(`"${text}" is not HOST:PORT`)
  return { host: match[1] ?? match[2] ?? '', port }
}

/** What could end a line or a word of ssh_config has no business in a name. @throws UsageError */
function word(text: string): string {
  if (!/^[\w@%+=:,./~-]+$/.test(text)) throw new UsageError(`"${text}" cannot stand in an ssh_config`)
  return text
}

/** A block for each pod: the target stands in the login, and `User` of OpenSSH before 10 knows no tokens that a pattern could fill. */
export function podBlocks(pods: readonly PodItem[], facts: BlockFacts): string {
  return pods
    .map(({ pod, namespace, cluster }) => hostBlock(`${pod}.${namespace}.${cluster}`, `${facts.user}+${pod}.${namespace}.${cluster}`, facts))
    .join('\n')
}

function hostBlock(pattern: string, login: string, { host, port, identity }: BlockFacts): string {
  const lines = [
    `Host ${pattern}`,
    `  HostName ${word(host)}`,
    `  Port ${port}`,
    `  User ${login}`,
    // one key for one gateway, whatever the pod is called
    `  HostKeyAlias ${port === 22 ? host : `[${host}]:${port}`}`,
    ...(identity === undefined ? [] : [`  IdentityFile ${word(identity)}`, '  IdentitiesOnly yes']),
  ]
  return `${lines.join('\n')}\n`
}
