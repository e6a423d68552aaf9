/** Rules that live in Redis: the document `dockin:rules`, in the form of rules.yaml. */

import { wrongExamples, wrongExampleText } from '../policy/examples.js'
import { type Rule, ruleSchema } from '../policy/rules.js'
import { reask } from '../session/reask.js'
import type { SessionRegistry } from '../session/registry.js'
import type { ListMistake } from '../wire/api/lists.js'
import { readEntries } from './list-mistakes.js'
import type { RuleBook } from './rules.js'
import type { ListKind } from './shared-list.js'

export function ruleList(book: RuleBook, registry: SessionRegistry): ListKind<Rule> {
  return {
    name: 'rules',
    read: (list) => readEntries('rules', list, ruleSchema),
    apply: (rules) => {
      book.replaceRules(rules)
      reask(registry, book.policy)
    },
    // what is in Redis already holds in spite of its examples, as a file does
    objections: (rules) => rules.flatMap(wrongExamplesOf),
    shown: (rule) => rule,
  }
}

function wrongExamplesOf(rule: Rule, index: number): readonly ListMistake[] {
  return wrongExamples(rule).map((wrong) => ({
    index,
    name: rule.name,
    key: `examples.${wrong.expected}[${wrong.index}]`,
    message: `"${wrong.line}" ${wrongExampleText(wrong)}`,
  }))
}
