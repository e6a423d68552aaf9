/** Lines that wait for somebody's word before they run. */
import { z } from 'zod'
import { doorSchema, pageOf, targetSchema, timeSchema } from './common.js'
import { json, operation } from './operation.js'

export const approvalItem = z.object({
  id: z.string(),
  line: z.string(),
  user: z.string(),
  session: z.string(),
  door: doorSchema,
  target: targetSchema,
  rule: z.string(),
  reason: z.string(),
  cwd: z.string().optional(),
  by: z.object({ users: z.array(z.string()), groups: z.array(z.string()), roles: z.array(z.string()) }).describe('Who may answer'),
  mine: z.boolean().describe('You may answer'),
  askedAt: timeSchema,
  endsAt: timeSchema,
})
export type ApprovalItem = z.output<typeof approvalItem>

export const approvalOperations = {
  listApprovals: operation({
    topic: 'approvals',
    method: 'GET',
    path: '/api/v1/approvals',
    access: 'user',
    summary: 'Lines that wait: your own, and those that you may answer; all of them for auditors',
    answer: json(pageOf(approvalItem)),
  }),
  decideApproval: operation({
    topic: 'approvals',
    method: 'POST',
    path: '/api/v1/approvals/{id}',
    access: 'user',
    summary: 'Answer a line that waits, as its rule lets you; never your own',
    params: z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }),
    body: z.strictObject({ verdict: z.enum(['approve', 'refuse']), note: z.string().trim().max(500).optional() }),
    answer: json(z.object({ id: z.string(), verdict: z.enum(['approved', 'refused']) })),
  }),
}
