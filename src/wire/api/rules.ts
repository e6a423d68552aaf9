/** Rules as they are in force, and what they would answer. */
import { z } from 'zod'
import { doorSchema, pageOf } from './common.js'
import { json, operation } from './operation.js'

const globs = z.array(z.string())
const listEntry = z.looseObject({ cmd: z.string(), flags: z.array(z.array(z.string())), path: globs })

/** A rule after reading: every default filled in. */
export const ruleItem = z.looseObject({
  name: z.string(),
  users: z.array(z.string()),
  groups: z.array(z.string()),
  from: z.array(z.string()).optional().describe('Addresses and networks from which people must come'),
  where: z.array(z.looseObject({ cluster: globs, namespace: globs, pod: globs, container: globs, labels: z.record(z.string(), globs) })),
  doors: z.array(doorSchema),
  commands: z
    .looseObject({ mode: z.enum(['deny', 'allow']), entries: z.array(listEntry), opaque: z.boolean(), escapeCapable: z.boolean() })
    .optional()
    .describe('Present: shells of this rule are guarded'),
  files: z.looseObject({ upload: z.boolean(), download: z.boolean() }).optional(),
  record: z.looseObject({ input: z.boolean(), maxBytes: z.number().optional() }).optional().describe('How its sessions are recorded'),
  message: z.string().optional(),
})
export type RuleItem = z.output<typeof ruleItem>

export const testBody = z.strictObject({
  user: z.string().min(1).max(256).optional().describe('Default: you. Others may be asked about by auditors'),
  target: z.string().min(1).max(1024).describe('POD[.NAMESPACE[.CLUSTER]][+CONTAINER] or cluster/namespace/pod/container'),
  from: z.union([z.ipv4(), z.ipv6()]).optional().describe('As if coming from this address. Default: yours'),
  door: doorSchema.default('shell'),
  line: z.string().max(131072).optional().describe('A command line; without it the question is whether the door opens'),
  cwd: z.string().startsWith('/').max(4096).default('/'),
  dialect: z.enum(['bash', 'posix']).default('posix'),
})
export const testAnswer = z.object({
  allow: z.boolean(),
  rule: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  target: z.string().describe('cluster/namespace/pod/container'),
  guarded: z.boolean().describe('Shells of the rule are guarded'),
  commands: z.array(z.array(z.string())).optional().describe('Every simple command that was understood'),
  confidence: z.enum(['exact', 'nested', 'advisory']).optional(),
  demand: z.enum(['confirm', 'approve']).optional().describe('What an allowed line still needs'),
})
export type RuleTestResult = z.output<typeof testAnswer>

export const ruleOperations = {
  listRules: operation({
    topic: 'rules',
    method: 'GET',
    path: '/api/v1/rules',
    access: 'auditor',
    summary: 'Rules in their order: the first that matches decides, none refuses',
    answer: json(pageOf(ruleItem)),
  }),
  testRules: operation({
    topic: 'rules',
    method: 'POST',
    path: '/api/v1/rules/test',
    access: 'user',
    summary: 'What the policy would answer, and why; nothing is run',
    body: testBody,
    answer: json(testAnswer),
  }),
}
