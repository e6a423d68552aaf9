/** A guarded shell in a real container, and a person at it. */
import { DockerRuntime } from '../../../agent/docker.js'
import { silentLogger } from '../../../src/core/log.js'
import type { CommandRule, ExitStatus, RemoteProcess, ShellName } from '../../../src/core/types.js'
import type { GuardEvent, GuardParts, LineDecision } from '../../../src/guard/parts.js'
import { openGuardedShell } from '../../../src/guard/shell.js'
import { dockerSocketOf } from '../../support/need.js'

/** Which container has which shell (shared/cluster/README.md). */
const CONTAINERS: Readonly<Record<ShellName, { namespace: string; pod: string; container: string }>> = {
  bash: { namespace: 'shop', pod: 'web-0', container: 'web' },
  dash: { namespace: 'shop', pod: 'web-0', container: 'web' },
  ash: { namespace: 'shop', pod: 'web-0', container: 'sidecar' },
}
export const PROMPT = '[guarded]\x1b[m$ '

export class World {
  readonly runtime = new DockerRuntime({ docker: `unix://${dockerSocketOf('a')}`, log: silentLogger })
  readonly #abort = new AbortController()

  exec(shell: ShellName): GuardParts['exec'] {
    const wanted = CONTAINERS[shell]
    return async (request, signal) => {
      const found = await this.runtime.find((one) => one.namespace === wanted.namespace && one.pod === wanted.pod && one.container === wanted.container, signal)
      if (!found) throw new Error(`no container ${wanted.container} of ${wanted.pod}`)
      return this.runtime.exec(found.id, request, signal)
    }
  }

  /** What a plain `sh -c` in the same container prints. */
  async run(shell: ShellName, script: string): Promise<string> {
    const process = await this.exec(shell)({ argv: ['/bin/sh', '-c', script], env: {} }, this.#abort.signal)
    process.stdin.end()
    process.stderr?.resume()
    let out = ''
    for await (const chunk of process.stdout) out += String(chunk)
    await process.close()
    return out
  }

  close(): Promise<void> {
    return this.runtime.close()
  }
}

export const RULE: CommandRule = { mode: 'deny', entries: [], opaque: true, escapeCapable: true, shells: ['bash', 'dash', 'ash'] }

/** A policy of three words: `rm` is denied, an open quote or here-document is unfinished. */
export function decide(line: string): LineDecision {
  const commands = line.split(/[;|&\n]+/).map((part) => part.trim().split(/\s+/))
  const hereDocument = /<<-?'?(\w+)/.exec(line)?.[1]
  const open = (line.match(/'/g)?.length ?? 0) % 2 === 1 || /\\$/.test(line) || (hereDocument !== undefined && !new RegExp(`\\n${hereDocument}$`).test(line))
  if (open) return { verdict: 'incomplete', commands, confidence: 'exact' }
  const denied = commands.some(([name]) => name === 'rm')
  return { verdict: denied ? 'deny' : 'allow', ...(denied ? { reason: 'rm is not allowed' } : {}), commands, confidence: 'exact' }
}

export class Person {
  /** Everything seen so far. */
  seen = ''
  readonly events: GuardEvent[] = []
  #from = 0
  #changed: () => void = () => {}
  ended = false

  private constructor(
    readonly shell: RemoteProcess,
    events: GuardEvent[],
  ) {
    this.events = events
    shell.stdout.on('data', (chunk: Buffer) => {
      this.seen += chunk.toString('utf8')
      this.#changed()
    })
    shell.exit.catch((error: unknown) => {
      this.seen += `<${String(error)}>`
    })
    shell.stdout.on('close', () => {
      this.ended = true
      this.#changed()
    })
  }

  static async sitDown(world: World, shell: ShellName, more: Partial<GuardParts> = {}): Promise<Person> {
    const events: GuardEvent[] = []
    const parts: GuardParts = {
      exec: world.exec(shell),
      pty: { term: 'xterm-256color', size: { columns: 120, rows: 30, widthPx: 0, heightPx: 0 }, modes: {} },
      user: 'alice',
      targetLabel: 'shop/web-0',
      rule: { name: 'test-rule', message: 'ask #platform', commands: { ...RULE, shells: [shell] } },
      decide,
      record: async (event) => ({ seq: events.push(event) }),
      env: { LANG: 'C.UTF-8' },
      signal: new AbortController().signal,
      ...more,
    }
    const person = new Person(await openGuardedShell(parts), events)
    await person.sees(PROMPT)
    return person
  }

  get lines(): string[] {
    return this.events.flatMap((event) => (event.type === 'command' ? [event.line ?? ''] : []))
  }
  get verdicts(): string[] {
    return this.events.flatMap((event) => (event.type === 'command' ? [event.verdict] : []))
  }
  get statuses(): number[] {
    return this.events.flatMap((event) => (event.type === 'command.exit' ? [event.status] : []))
  }

  types(bytes: string | Buffer): this {
    this.shell.stdin.write(bytes)
    return this
  }

  /** Waits until `text` is seen after what was waited for before; answers what came up to it. */
  async sees(text: string | RegExp, ms = 8000): Promise<string> {
    const deadline = setTimeout(() => this.#changed(), ms)
    const until = Date.now() + ms
    try {
      for (;;) {
        const rest = this.seen.slice(this.#from)
        const found = typeof text === 'string' ? rest.indexOf(text) : rest.search(text)
        if (found >= 0) {
          const length = typeof text === 'string' ? text.length : (rest.match(text)?.[0].length ?? 0)
          this.#from += found + length
          return rest.slice(0, found)
        }
        if (this.ended || Date.now() >= until) throw new Error(`did not see ${String(text)} in ${JSON.stringify(rest)}${this.ended ? ' (ended)' : ''}`)
        await new Promise<void>((resolve) => {
          this.#changed = resolve
        })
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Waits until something is so. */
  async until(what: () => boolean, ms = 8000): Promise<void> {
    const until = Date.now() + ms
    const tick = setInterval(() => this.#changed(), 100)
    try {
      while (!what()) {
        if (this.ended || Date.now() >= until) throw new Error(`not so after ${JSON.stringify(this.seen.slice(-500))}`)
        await new Promise<void>((resolve) => {
          this.#changed = resolve
        })
      }
    } finally {
      clearInterval(tick)
    }
  }

  /** Types a line and waits for the next prompt; answers what was shown between. */
  async runs(line: string): Promise<string> {
    this.types(`${line}\r`)
    const shown = await this.sees(PROMPT)
    return shown.slice(shown.indexOf('\n') + 1).replace(/\x1b\[\?2004h[\s\S]*$/, '')
  }

  async status(): Promise<ExitStatus> {
    return this.shell.exit
  }

  leave(): Promise<void> {
    return this.shell.close()
  }
}
