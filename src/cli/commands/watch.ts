/** opsctl get pods -w: a stream of what changes, taken up again where it was cut. */
import { setTimeout as delay } from 'node:timers/promises'
import { type TargetItem, targetLineSchema } from '../../wire/api/targets.js'
import { jsonLines } from '../api/lines.js'
import { type Cli, type Gateway, say } from '../cli.js'
import { errorCode, GatewayError } from '../problem.js'
import { safe } from '../text/safe.js'

export interface WatchAsk {
  readonly query: { readonly cluster?: string; readonly namespace?: string; readonly node?: string; readonly text?: string }
  /** Which of them count. */
  readonly wants: (item: TargetItem) => boolean
  /** All at first, perhaps none; then what is new or different, and what is gone with the state "Gone". */
  readonly print: (items: readonly TargetItem[], isFirst: boolean) => Promise<void>
}

/** What asking again cannot mend. */
const FINAL = new Set(['AUTH_FAILED', 'POLICY_REFUSED', 'BAD_REQUEST', 'NOT_FOUND'])
const RETRY_MS = [500, 10_000] as const
/** A gateway that is away for longer is given up. */
const PATIENCE_MS = 60_000

/** Until `signal` aborts, whose reason is thrown. @throws GatewayError when the login has ended, or the gateway stays away */
export async function watchPods(cli: Cli, gateway: Gateway, ask: WatchAsk, signal: AbortSignal): Promise<never> {
  const known = new Map<string, { readonly item: TargetItem; readonly text: string }>()
  let isFirst = true
  let waitMs: number = RETRY_MS[0]
  let heardMs = performance.now()
  const taken = async (items: ReadonlyMap<string, TargetItem>, isWhole: boolean): Promise<void> => {
    const news = [...items.values()].filter((item) => known.get(item.name)?.text !== JSON.stringify(item))
    const gone = isWhole ? [...known.values()].filter(({ item }) => !items.has(item.name)).map(({ item }) => item) : []
    for (const { name } of gone) known.delete(name)
    for (const item of news) known.set(item.name, { item, text: JSON.stringify(item) })
    const changes = [...gone.map(asGone), ...news]
    if (isFirst || changes.length > 0) await ask.print(changes, isFirst)
    isFirst = false
  }
  for (;;) {
    let why: string | undefined = 'the gateway ended it'
    try {
      // what was told before a cut is compared with all that there is now
      let all: Map<string, TargetItem> | undefined = new Map()
      const answer = await gateway.api.watchTargets({ query: { ...ask.query, follow: '1' }, signal })
      for await (const row of jsonLines(answer)) {
        const line = targetLineSchema.safeParse(row).data
        heardMs = performance.now()
        if (!line) continue
        if ('code' in line) {
          // a token that has run out is renewed by asking again, which is no news; of a login that has ended we hear then
          why = line.code === 'AUTH_FAILED' ? undefined : line.message
          break
        }
        if (line.kind === 'synced') {
          if (all) await taken(all, true)
          all = undefined
          waitMs = RETRY_MS[0]
        } else if (!ask.wants(line.item)) continue
        else if (all) all.set(line.item.name, line.item)
        else if (line.kind === 'gone') {
          if (known.delete(line.item.name)) await ask.print([asGone(line.item)], false)
        } else await taken(new Map([[line.item.name, line.item]]), false)
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof Error)) throw error
      const code = error instanceof GatewayError ? error.code : errorCode(Reflect.get(error, 'code'))
      if (FINAL.has(code) || performance.now() - heardMs > PATIENCE_MS) throw error
      why = error.message
    }
    if (why === undefined) continue
    say(cli, `the watch was cut (${safe(why)}); asking again\n`)
    await delay(waitMs, undefined, { signal })
    waitMs = Math.min(waitMs * 2, RETRY_MS[1])
  }
}

function asGone(item: TargetItem): TargetItem {
  return { ...item, state: 'Gone', ready: false }
}
