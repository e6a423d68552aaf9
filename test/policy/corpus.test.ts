/**
 * The command corpus, as far as its keystrokes are plain lines. Cases with control keys need the editor, cases for zsh are
 * denied by not being offered; both are counted and left to the end-to-end run.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { judge } from '../../src/policy/judge.js'
import { allow, deny } from './support/lines.js'

const CORPUS = fileURLToPath(new URL('../../../shared/corpus/commands.json', import.meta.url))

interface Entry {
  readonly cmd: string
  readonly flags?: readonly string[]
  readonly path?: readonly string[]
}
interface Case {
  readonly id: string
  readonly shell: string
  readonly keystrokes: string | readonly { readonly send?: string }[]
  readonly policy: {
    readonly deny?: readonly (string | Entry)[]
    readonly allow?: readonly (string | Entry)[]
    readonly opaque?: string
    readonly escape_capable?: string
  }
  readonly expect: 'allow' | 'deny'
  readonly expected_logged_lines: readonly string[] | null
}

/** Denied here and rightly so: what is typed goes into a program, not to the shell, so it is no line. */
const NOT_LINES: ReadonlySet<string> = new Set(['benign-74'])

function linesOf(each: Case): readonly string[] | undefined {
  const keys = typeof each.keystrokes === 'string' ? each.keystrokes : each.keystrokes.map(({ send }) => send ?? '').join('')
  if (each.expect === 'allow' && each.expected_logged_lines) return each.expected_logged_lines
  return /[^\P{Cc}\r]/u.test(keys) ? undefined : keys.replace(/\r$/, '').split('\r')
}
/** As the editor would: lines are joined while they are incomplete. */
function outcome(each: Case, lines: readonly string[]): string {
  const extra = { opaque: each.policy.opaque === 'allow', escapeCapable: each.policy.escape_capable === 'allow' }
  const rule = each.policy.deny ? deny(each.policy.deny, extra) : allow(each.policy.allow ?? [], extra)
  let pending = ''
  for (const line of lines) {
    const text = pending === '' ? line : `${pending}\n${line}`
    const { verdict } = judge(text, rule, { dialect: each.shell === 'bash' ? 'bash' : 'posix', cwd: `/w/${each.id}`, home: '/root' })
    if (verdict === 'deny') return 'deny'
    pending = verdict === 'incomplete' ? text : ''
  }
  return pending === '' ? 'allow' : 'incomplete'
}

test('judge agrees with every plain line of the corpus', { skip: existsSync(CORPUS) ? false : 'the command corpus is not here' }, (t) => {
  const cases: readonly Case[] = JSON.parse(readFileSync(CORPUS, 'utf8'))
  const counts = { deny: 0, allow: 0, zsh: 0, keys: 0 }
  const wrong: string[] = []
  for (const each of cases) {
    const lines = linesOf(each)
    if (each.shell === 'zsh') counts.zsh++
    else if (!lines) counts.keys++
    else if (!NOT_LINES.has(each.id)) {
      const got = outcome(each, lines)
      if (got === each.expect) counts[each.expect]++
      else wrong.push(`${each.id}: ${got}, expected ${each.expect}`)
    }
  }
  t.diagnostic(
    `${counts.deny} evasions denied, ${counts.allow} benign allowed; left to the end-to-end run: ${counts.keys} with control keys, ${counts.zsh} for zsh, ${NOT_LINES.size} typed into a program`,
  )
  assert.deepEqual(wrong, [])
})
