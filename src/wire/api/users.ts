/** Users as the directory holds them, without anything that opens a door. */
import { z } from 'zod'
import { pageOf, roleSchema } from './common.js'
import { json, operation } from './operation.js'

export const userItem = z.object({
  name: z.string(),
  groups: z.array(z.string()),
  roles: z.array(roleSchema),
  hasPassword: z.boolean(),
  keys: z.array(z.object({ type: z.string(), fingerprint: z.string(), comment: z.string().optional() })),
})
export type UserItem = z.output<typeof userItem>

export const userOperations = {
  listUsers: operation({
    topic: 'users',
    method: 'GET',
    path: '/api/v1/users',
    access: 'auditor',
    summary: 'Users with groups, roles and fingerprints of keys; never a hash',
    answer: json(pageOf(userItem)),
  }),
}
