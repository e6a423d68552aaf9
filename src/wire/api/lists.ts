/**
 * Lists that live in Redis and are shared by gateways: rules with their commands and addresses, and accounts. For admins only.
 * Each answer has the version as `version` and as ETag; whoever changes sends it back as If-Match.
 */
import { z } from 'zod'
import { roleSchema } from './common.js'
import { json, operation } from './operation.js'

/** What is wrong with an entry of a list. */
export const listMistakeSchema = z.object({
  index: z.int().describe('Its place in the list'),
  name: z.string().optional().describe('Its name, where it has one'),
  key: z.string().describe('As people write it: commands.deny[0]; empty for the entry as a whole'),
  message: z.string(),
})
export type ListMistake = Readonly<z.output<typeof listMistakeSchema>>

const nameParams = z.strictObject({ name: z.string().min(1).max(100) })
const entry = z.record(z.string(), z.unknown())
const version = z.int().describe('Counts up with each change; the ETag')
const trouble = z.string().optional().describe('Why what Redis holds is not in force')
/** One of the addresses, or one of the networks. */
export const addressesSchema = z.array(z.string().min(1).max(64)).max(1000)

export const accountSchema = z.object({
  name: z.string(),
  groups: z.array(z.string()),
  roles: z.array(roleSchema),
  hasPassword: z.boolean(),
  keys: z.array(z.string()).describe('Lines of .pub files'),
})
export type AccountItem = z.output<typeof accountSchema>
export const accountBody = z.strictObject({
  groups: z.array(z.string()).max(1000).optional(),
  roles: z.array(roleSchema).optional(),
  keys: z.array(z.string().max(16_384)).max(1000).optional(),
  password: z.string().max(1024).nullable().optional().describe('A hash of `opserver passwd`; absent: as it was; null: none'),
})

export const rulesListAnswer = z.object({ version, rules: z.array(entry).describe('In the form of rules.yaml'), trouble })
export const usersListAnswer = z.object({ version, users: z.array(accountSchema), trouble })
const changed = z.object({ version })
const MAX_LIST_BYTES = 4 * 2 ** 20

export const listOperations = {
  getRuleList: operation({
    topic: 'lists',
    method: 'GET',
    path: '/api/v1/lists/rules',
    access: 'admin',
    summary: 'The shared rules as they were written',
    answer: json(rulesListAnswer),
  }),
  putRuleList: operation({
    topic: 'lists',
    method: 'PUT',
    path: '/api/v1/lists/rules',
    access: 'admin',
    summary: 'Replace all shared rules; needs If-Match',
    body: z.strictObject({ rules: z.array(z.unknown()).min(1).max(10_000) }),
    maxBodyBytes: MAX_LIST_BYTES,
    answer: json(changed),
  }),
  checkRuleList: operation({
    topic: 'lists',
    method: 'POST',
    path: '/api/v1/lists/rules/check',
    access: 'admin',
    summary: 'What is wrong with a draft of all rules, and which of its examples come out otherwise; without a draft, with those in force',
    body: z.strictObject({ rules: z.array(z.unknown()).max(10_000).optional() }),
    maxBodyBytes: MAX_LIST_BYTES,
    answer: json(z.object({ rules: z.int(), examples: z.int(), mistakes: z.array(listMistakeSchema) })),
  }),
  getRule: operation({
    topic: 'lists',
    method: 'GET',
    path: '/api/v1/lists/rules/{name}',
    access: 'admin',
    summary: 'A shared rule as it was written',
    params: nameParams,
    answer: json(z.object({ version, rule: entry })),
  }),
  putRule: operation({
    topic: 'lists',
    method: 'PUT',
    path: '/api/v1/lists/rules/{name}',
    access: 'admin',
    summary: 'Add a shared rule, or replace the one of that name; needs If-Match',
    params: nameParams,
    query: z.strictObject({ before: z.string().min(1).max(100).optional().describe('Its place: before this rule') }),
    body: z.strictObject({ rule: entry }),
    answer: json(changed),
  }),
  deleteRule: operation({
    topic: 'lists',
    method: 'DELETE',
    path: '/api/v1/lists/rules/{name}',
    access: 'admin',
    summary: 'Remove a shared rule; needs If-Match',
    params: nameParams,
    answer: json(changed),
  }),
  getAddresses: operation({
    topic: 'lists',
    method: 'GET',
    path: '/api/v1/lists/rules/{name}/from',
    access: 'admin',
    summary: 'From where a shared rule lets people come',
    params: nameParams,
    answer: json(z.object({ version, from: addressesSchema.optional().describe('Absent: from anywhere') })),
  }),
  putAddresses: operation({
    topic: 'lists',
    method: 'PUT',
    path: '/api/v1/lists/rules/{name}/from',
    access: 'admin',
    summary: 'From where a shared rule lets people come: addresses and networks; needs If-Match',
    params: nameParams,
    body: z.strictObject({ from: addressesSchema.min(1) }),
    answer: json(changed),
  }),
  deleteAddresses: operation({
    topic: 'lists',
    method: 'DELETE',
    path: '/api/v1/lists/rules/{name}/from',
    access: 'admin',
    summary: 'Let people come from anywhere by this rule; needs If-Match',
    params: nameParams,
    answer: json(changed),
  }),
  getUserList: operation({
    topic: 'lists',
    method: 'GET',
    path: '/api/v1/lists/users',
    access: 'admin',
    summary: 'The shared accounts; never a hash',
    answer: json(usersListAnswer),
  }),
  getUser: operation({
    topic: 'lists',
    method: 'GET',
    path: '/api/v1/lists/users/{name}',
    access: 'admin',
    summary: 'A shared account; never a hash',
    params: nameParams,
    answer: json(z.object({ version, user: accountSchema })),
  }),
  putUser: operation({
    topic: 'lists',
    method: 'PUT',
    path: '/api/v1/lists/users/{name}',
    access: 'admin',
    summary: 'Add a shared account, or change the one of that name: what is absent stays; needs If-Match',
    params: nameParams,
    body: accountBody,
    answer: json(changed),
  }),
  deleteUser: operation({
    topic: 'lists',
    method: 'DELETE',
    path: '/api/v1/lists/users/{name}',
    access: 'admin',
    summary: 'Remove a shared account; its sessions and logins end; needs If-Match',
    params: nameParams,
    answer: json(changed),
  }),
}
