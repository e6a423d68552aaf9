/** Lines that wait for another person's yes; session/approvals.ts decides who may give it. */
import { type ApiParts, type Handlers, mayCall } from './api-parts.js'

export function approvalHandlers({ approvals }: ApiParts): Required<Pick<Handlers, 'listApprovals' | 'decideApproval'>> {
  return {
    listApprovals: ({ identity }) => {
      const waiting = mayCall(identity, 'auditor') ? approvals.list() : approvals.list(identity)
      const items = waiting.map((pending) => {
        const { target, by, askedAt, endsAt, ...facts } = pending
        const { cluster, namespace, pod, container, uid, node } = target
        return {
          ...facts,
          target: { cluster, namespace, pod, container, uid, node },
          by: { users: [...by.users], groups: [...by.groups], roles: [...by.roles] },
          mine: approvals.mayDecide(pending, identity),
          askedAt: askedAt.toISOString(),
          endsAt: endsAt.toISOString(),
        }
      })
      return { items }
    },
    decideApproval: async ({ params, body, identity }) => {
      const { id, answer } = await approvals.decide(params.id, identity, body.verdict, body.note)
      return { id, verdict: answer.verdict }
    },
  }
}
