/** The command judge as the policy asks it: `createPolicy(rules, vetLine)`. */
import { judge } from './judge.js'
import type { Judge } from './policy.js'

/**
 * Vets one line. An unfinished line is not allowed; `analysis.incomplete` tells an editor that it may ask for more.
 * A line with a `demand` is not allowed either, until its door has met it and asks again.
 * Where `analysis.sizeChecks` is not empty, the line is allowed once those files were measured against the rule's
 * editLimit: a door that cannot measure must refuse.
 */
export const vetLine: Judge = (line, rule, context) => {
  const { verdict, reason, commands, confidence, sizeChecks, demand, opaque } = judge(line, rule, context)
  const analysis = {
    commands,
    confidence,
    ...(opaque && { opaque }),
    ...(verdict === 'incomplete' && { incomplete: true }),
    ...(sizeChecks.length > 0 && { sizeChecks }),
  }
  return { allow: verdict === 'allow', analysis, ...(reason !== undefined && { reason }), ...(demand && { demand }) }
}
