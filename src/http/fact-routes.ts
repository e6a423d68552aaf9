/** What is shown and not changed here: rules, users, health; and what a rule would answer. */
import { OpsError } from '../core/errors.js'
import { type Identity, type Target, targetText, type Verdict } from '../core/types.js'
import type { RuleTestResult } from '../wire/api/rules.js'
import { type ApiParts, type Handlers, mayCall } from './api-parts.js'

export function factHandlers(parts: ApiParts): Required<Pick<Handlers, 'listRules' | 'testRules' | 'listUsers' | 'health'>> {
  const { rules, users, policy, resolver } = parts
  return {
    listRules: () => ({ items: [...rules()] }),
    listUsers: () => ({ items: [...users()] }),
    health: () => parts.health(),
    testRules: async ({ body, identity, request }) => {
      const asked = askedIdentity(parts, identity, body)
      const target = await targetOf(resolver, body.target, identity, AbortSignal.timeout(10_000))
      request.log.debug({ target: targetText(target) }, 'rules.test')
      const { door } = body
      const opening = policy.decide({ kind: 'open', identity: asked, target, door })
      if (body.line === undefined || !opening.allow) return resultOf(opening, opening, target)
      const { line, cwd } = body
      // as each door asks: only a guarded shell knows what it is
      const dialect = door === 'shell' || door === 'ws' ? body.dialect : 'any'
      return resultOf(policy.decide({ kind: 'run', identity: asked, target, door, line, dialect, cwd }), opening, target)
    },
  }
}

/** @throws OpsError POLICY_REFUSED, NOT_FOUND */
function askedIdentity(
  { identityOf }: Pick<ApiParts, 'identityOf'>,
  identity: Identity,
  { user, from: host }: { readonly user?: string | undefined; readonly from?: string | undefined },
): Identity {
  const from = host === undefined ? identity.from : { host, port: 0 }
  if (user === undefined || user === identity.user) return { ...identity, from }
  if (!mayCall(identity, 'auditor'))
    throw new OpsError('POLICY_REFUSED', `${identity.user} asked about "${user}"`, { detail: 'you may ask about yourself only' })
  const asked = identityOf(user)
  if (!asked) throw new OpsError('NOT_FOUND', `no user "${user}"`, { detail: 'no such user' })
  return { ...asked, from }
}

/** By its printed name, or as an address; among what the asker sees. @throws OpsError TARGET_UNKNOWN and its like */
async function targetOf(resolver: ApiParts['resolver'], text: string, identity: Identity, signal: AbortSignal): Promise<Target> {
  const named = resolver.list(identity).find(({ target }) => targetText(target) === text)
  if (named) return named.target
  return (await resolver.resolve(text, identity, signal)).target
}

function resultOf(verdict: Verdict, opening: Verdict, target: Target): RuleTestResult {
  const { rule, analysis } = verdict
  return {
    allow: verdict.allow,
    ...(rule !== undefined && { rule }),
    ...(!verdict.allow && { reason: verdict.reason, ...(verdict.message !== undefined && { message: verdict.message }) }),
    target: targetText(target),
    guarded: opening.allow && opening.commands !== undefined,
    ...(analysis && { commands: analysis.commands.map((words) => [...words]), confidence: analysis.confidence }),
    ...(!verdict.allow && verdict.demand && { demand: verdict.demand.kind }),
  }
}
