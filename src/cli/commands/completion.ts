/** completion bash|zsh|fish, and the hidden command behind it. */
import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Argument, type Command } from 'commander'
import { allItems } from '../api/pages.js'
import { type Cli, type GlobalOptions, gatewayOf, out } from '../cli.js'
import { candidates, type NameKind } from '../completion/candidates.js'
import { COMPLETE_COMMAND, type CompletionShell, completionScript, SHELLS } from '../completion/scripts.js'
import { statePath } from '../dock/batch-files.js'

/** A shell that waits for Tab waits no longer. */
const PATIENCE_MS = 2000
/** More than this nobody reads. */
const MAX_NAMES = 500
/** One word each, as a shell would complete them: no spaces, nothing that moves a terminal. */
const WORD = /^[\w.+@:/-]+$/

export function addCompletion(program: Command, cli: Cli): void {
  program
    .command('completion')
    .description('print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'your shell').choices([...SHELLS]))
    .addHelpText(
      'after',
      `\nExamples:\n  source <(${cli.program} completion bash)\n  ${cli.program} completion zsh > "\${fpath[1]}/_${cli.program}"\n  ${cli.program} completion fish | source`,
    )
    .action((shell: CompletionShell) => out(cli, completionScript(shell, cli.program)))
  program
    .command(COMPLETE_COMMAND, { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .action((words: string[]) => complete(cli, program, words))
}

async function complete(cli: Cli, program: Command, words: readonly string[]): Promise<void> {
  const found = await candidates(program, words.length === 0 ? [''] : words, (kind, before) => namesOf(cli, kind, before))
  await out(
    cli,
    found
      .filter((name) => WORD.test(name))
      .slice(0, MAX_NAMES)
      .map((name) => `${name}\n`)
      .join(''),
  )
}

/** Tab never complains: without a login, or with a gateway that is away, there are no names. */
async function namesOf(cli: Cli, kind: NameKind, before: readonly string[]): Promise<readonly string[]> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const at = before.indexOf('--context')
  const context = at < 0 ? undefined : before[at + 1]
  try {
    return await asked(cli, kind, before, context === undefined ? {} : { context }, signal)
  } catch {
    return []
  }
}

async function asked(cli: Cli, kind: NameKind, before: readonly string[], options: GlobalOptions, signal: AbortSignal): Promise<readonly string[]> {
  if (kind === 'context') return Object.keys((await cli.contexts.read()).contexts)
  if (kind === 'batch') return batches(cli)
  if (kind === 'name') {
    if (before.includes('use')) return asked(cli, 'context', before, options, signal)
    const what = before.find((word) => /^(pods?|po|sessions?|rules?)$/.test(word))?.replace(/s$/, '')
    return what === undefined ? [] : asked(cli, what === 'session' || what === 'rule' ? what : 'target', before, options, signal)
  }
  const { api } = await gatewayOf(cli, options)
  if (kind === 'session') return (await api.listSessions({ query: { limit: 100 }, signal })).items.map((item) => item.id)
  if (kind === 'rule') return (await api.listRules({ signal })).items.map((item) => item.name)
  if (kind === 'approval') return (await api.listApprovals({ signal })).items.filter((item) => item.mine).map((item) => item.id)
  const items = await allItems((page) => api.listTargets({ query: page, signal }), 5000)
  return items.map(({ target }) => `${target.pod}.${target.namespace}.${target.cluster}`)
}

async function batches(cli: Cli): Promise<string[]> {
  const files = await readdir(dirname(await statePath(cli.streams.env, 'x')))
  return files.filter((file) => file.endsWith('.ndjson')).map((file) => file.slice(0, -'.ndjson'.length))
}
