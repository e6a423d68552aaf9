/** Shorthand for judging lines in tests. */
import type { CommandEntry, CommandRule, Dialect } from '../../../src/core/types.js'
import { type JudgeContext, type Judgement, judge } from '../../../src/policy/judge.js'

interface Extra {
  readonly opaque?: boolean
  readonly escapeCapable?: boolean
  readonly editLimit?: number
}
type Entry = string | { readonly cmd: string; readonly flags?: readonly string[]; readonly path?: readonly string[] }

function toEntry(entry: Entry): CommandEntry {
  if (typeof entry === 'string') return { cmd: entry, flags: [], path: [] }
  return { cmd: entry.cmd, flags: (entry.flags ?? []).map((flag) => flag.split('|')), path: entry.path ?? [] }
}
function toRule(mode: 'allow' | 'deny', entries: readonly Entry[], extra: Extra): CommandRule {
  return { mode, entries: entries.map(toEntry), opaque: false, escapeCapable: false, shells: ['bash', 'dash', 'ash'], ...extra }
}
/** A black list, as contract.md writes its entries. */
export function deny(entries: readonly Entry[], extra: Extra = {}): CommandRule {
  return toRule('deny', entries, extra)
}
/** A white list. */
export function allow(entries: readonly Entry[], extra: Extra = {}): CommandRule {
  return toRule('allow', entries, extra)
}

export const NO_RM = deny(['rm'])
export const NO_RM_RF = deny([{ cmd: 'rm', flags: ['r|R|recursive', 'f|force'] }])
export const NO_SECRET = deny([
  { cmd: 'cat', path: ['/etc/shadow', '*/secret'] },
  { cmd: 'dd', flags: ['of'] },
])
export const READER = allow(['ls', 'cat', 'echo', 'cd', 'pwd', 'grep', 'head', 'find', 'xargs', 'env', 'timeout', 'awk', 'sed', 'tee', 'git', 'sort', 'test'])

export function judged(line: string, rule: CommandRule, dialect: Dialect = 'bash', context: Partial<JudgeContext> = {}): Judgement {
  return judge(line, rule, { dialect, cwd: '/w/case', home: '/root', ...context })
}
