/** After rules or users have changed: live sessions are asked again, and those that may not run any more end with a reason. */
import { OpsError } from '../core/errors.js'
import type { Door, Policy } from '../core/types.js'
import type { LiveSession, SessionRegistry } from './registry.js'

/** Doors whose every step asks the policy anew, or that run nothing: a command list changes nothing about the session itself. */
const UNTOUCHED_DOORS: ReadonlySet<Door> = new Set(['sftp', 'scp', 'logs'])

/** @returns how many sessions were ended */
export function reask(registry: SessionRegistry, policy: Policy): number {
  let ended = 0
  registry.endWhere((live) => {
    const reason = whyEnd(live, policy)
    if (reason === undefined) return undefined
    ended++
    const detail = `the rules have changed: ${reason}`
    return new OpsError('SESSION_ENDED', `Session "${live.session.id}" ended: ${detail}`, { detail })
  })
  return ended
}

function whyEnd({ session, isGuarded }: LiveSession, policy: Policy): string | undefined {
  const { identity, target, door } = session
  const verdict = policy.decide({ kind: 'open', identity, target, door })
  if (!verdict.allow) return verdict.message === undefined ? verdict.reason : `${verdict.reason}; ${verdict.message}`
  // a plain shell cannot become a guarded one while it runs
  if (verdict.commands && !isGuarded && !UNTOUCHED_DOORS.has(door)) return `rule ${verdict.rule} has a command list by now, connect again`
  return undefined
}
