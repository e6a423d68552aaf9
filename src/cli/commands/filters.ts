/** Options of commands that search. */
import { type Command, Option } from 'commander'
import { DOORS } from '../../core/types.js'
import { parseDuration } from '../../core/units.js'
import { UsageError } from '../problem.js'

/** "15m", "2h" ago, or RFC 3339 and its beginnings ("2026-11-23", local time). @throws UsageError */
export function parseTime(text: string, now: () => number = Date.now): Date {
  if (/^\d+(\.\d+)?(ms|s|m|h|d)$/.test(text)) return new Date(now() - parseDuration(text))
  const withTime = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00` : text.replace(' ', 'T')
  const time = new Date(withTime)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(time.getTime())) {
    throw new UsageError(`"${text}" is not a time: write 15m or 2h (ago), 2026-11-23 or 2026-11-23T10:00`)
  }
  return time
}

/** --user, --target, --text, --batch, --since, --until. */
export function addSearchOptions(command: Command): Command {
  return command
    .option('--user <name>', 'of this user')
    .option('--target <text>', 'part of cluster/namespace/pod/container')
    .option('--text <text>', 'text that occurs in it')
    .option('--batch <id>', 'of this batch')
    .option('--since <time>', 'not before: 15m, 2h, 2026-11-23', (text: string) => parseTime(text))
    .option('--until <time>', 'not after', (text: string) => parseTime(text))
}

/** --state and --door of sessions. */
export function addSessionOptions(command: Command): Command {
  return command
    .addOption(new Option('--state <state>', 'live, ended or refused').choices(['live', 'ended', 'refused']))
    .addOption(new Option('--door <door>', 'the way it came in').choices([...DOORS]))
}
