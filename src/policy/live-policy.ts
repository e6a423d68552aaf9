/** The policy that holds now. Doors keep this one value; what stands behind it is replaced as a whole, between two questions. */
import type { Identity, Policy, Question, Verdict } from '../core/types.js'

/** People as they are now: their groups and roles may have changed since they logged in. */
export interface People {
  /** `identity` with today's groups and roles; undefined when the account is gone. */
  current(identity: Identity): Identity | undefined
}

export class LivePolicy implements Policy {
  readonly #people: People
  #policy: Policy

  constructor(policy: Policy, people: People) {
    this.#policy = policy
    this.#people = people
  }

  /** From the next question on `policy` decides. */
  replace(policy: Policy): void {
    this.#policy = policy
  }

  decide(question: Question): Verdict {
    const identity = this.#people.current(question.identity)
    if (!identity) return { allow: false, reason: 'the account does not exist any more' }
    return this.#policy.decide(identity === question.identity ? question : { ...question, identity })
  }
}
