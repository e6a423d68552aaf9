/** `opserver check`: every mistake of a configuration, every example that its rule answers otherwise, and a replay of the log. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { printMistakes } from '../config/mistakes.js'
import { checkConfig, loadConfig } from '../config.js'
import { escapePeerText } from '../core/log.js'
import type { StoredEvent } from '../core/types.js'
import { type ReplayedLine, type ReplayReport, testRules } from '../policy/replay.js'

export interface CheckResult {
  readonly text: string
  /** 1 when there is a mistake; what a replay finds is no mistake. */
  readonly exit: 0 | 1
}

/** @param replay a folder of audit files (DATA/audit) whose lines are asked of the rules as they stand in the config now */
export async function checkReport(config: string, replay: string | undefined): Promise<CheckResult> {
  const { mistakes, warnings } = await checkConfig(config)
  const found = printMistakes(mistakes, warnings)
  if (mistakes.length > 0) return { text: found, exit: 1 }
  const { rules, users } = await loadConfig(config)
  const examples = rules.flatMap(({ examples: each }) => (each ? [...each.allow, ...each.deny, ...each.ask] : [])).length
  const head = `${found}${config}: no mistakes${examples > 0 ? `, ${examples} examples as expected` : ''}\n`
  if (replay === undefined) return { text: head, exit: 0 }
  const groups = new Map(users.map((user) => [user.name, user.groups]))
  const report = await testRules(rules, storedEvents(replay), { groups: (user) => groups.get(user) })
  return { text: `${head}${replayText(report)}`, exit: 0 }
}

/** The events of `YYYY-MM-DD.ndjson` files, oldest first. A line that is none (the last of a crash) is passed over. */
export async function* storedEvents(folder: string): AsyncGenerator<StoredEvent> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ndjson')).sort()
  for (const name of names) {
    for await (const line of createInterface({ input: createReadStream(join(folder, name)), crlfDelay: Number.POSITIVE_INFINITY })) {
      const event = eventOf(line)
      if (event) yield event
    }
  }
}

function eventOf(line: string): StoredEvent | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'type' in value && 'seq' in value ? (value as StoredEvent) : undefined
  } catch {
    // not an event: the verifier of the log is where that is told
    return undefined
  }
}

/** Counts first, then each line with how often it was typed, by whom, and why the answer changes. */
export function replayText(report: ReplayReport): string {
  const { lines, skipped, unchanged, newlyRefused, newlyAllowed, newlyAsked } = report
  const head = `replay: ${lines} lines (${skipped} could not be asked again), ${unchanged} unchanged, ${newlyRefused} newly refused, ${newlyAllowed} newly allowed, ${newlyAsked} newly asked about\n`
  const part = (title: string, list: readonly ReplayedLine[]): string => (list.length === 0 ? '' : `${title}\n${list.map(lineText).join('')}`)
  return `${head}${part('newly refused:', report.refused)}${part('newly allowed:', report.allowed)}${part('newly asked about:', report.asked)}`
}

function lineText({ line, count, users, reason, ruleBefore, ruleAfter }: ReplayedLine): string {
  const rules = ruleBefore === ruleAfter ? `rule ${ruleAfter ?? '-'}` : `rule ${ruleBefore ?? '-'} -> ${ruleAfter ?? '-'}`
  return `  ${String(count).padStart(4)}x ${escapePeerText(line, 200)}   [${users.join(', ')}; ${rules}${reason === undefined ? '' : `; ${escapePeerText(reason, 200)}`}]\n`
}
