/** Examples that stand beside a rule: lines with the answer that its author expects. */
import type { CommandRule } from '../core/types.js'
import { judge } from './judge.js'
import type { Example, Rule } from './rules.js'

/** What a rule says to a line: it runs, it does not, or it asks first (`confirm`, `approve`). */
export type LineAnswer = 'allow' | 'deny' | 'ask'

/** An example that the rule answers otherwise. */
export interface WrongExample {
  readonly rule: string
  readonly expected: LineAnswer
  /** Its place in the list `examples.<expected>`. */
  readonly index: number
  readonly line: string
  readonly got: LineAnswer
  /** Why the rule does not let it run; absent when it does. */
  readonly reason?: string
}

/** Asks a rule about its own examples. Who and where are not asked: an example speaks of lines only. Empty when all are right. */
export function wrongExamples(rule: Rule): readonly WrongExample[] {
  const { examples, commands, name } = rule
  if (!examples) return []
  return (['allow', 'deny', 'ask'] as const).flatMap((expected) =>
    examples[expected].flatMap((example, index) => {
      const { answer, reason } = answerTo(example, commands)
      if (answer === expected) return []
      return [{ rule: name, expected, index, line: example.line, got: answer, ...(reason !== undefined && { reason }) }]
    }),
  )
}

/** `expects deny, but the rule allows it`. */
export function wrongExampleText({ expected, got, reason }: WrongExample): string {
  const does = { allow: 'lets it run', deny: 'refuses it', ask: 'asks first' } as const
  const wants = { allow: 'should run', deny: 'should be refused', ask: 'should be asked about' } as const
  return `${wants[expected]}, but the rule ${does[got]}${reason === undefined ? '' : ` (${reason})`}`
}

function answerTo({ line, cwd = '/', dialect = 'bash' }: Example, rule: CommandRule | undefined): { readonly answer: LineAnswer; readonly reason?: string } {
  if (!rule) return { answer: 'allow' }
  const { verdict, demand, reason } = judge(line, rule, { dialect, cwd })
  if (verdict === 'allow') return { answer: 'allow' }
  return { answer: demand ? 'ask' : 'deny', ...(reason !== undefined && { reason }) }
}
