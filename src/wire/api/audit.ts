/** The audit log: searched, and followed. */
import { z } from 'zod'
import type { Page, StoredEvent } from '../../core/types.js'
import { batchQuery, pageOf, pageQuery, rangeQuery, sessionIdSchema, targetQuery, targetSchema, textQuery, userQuery, verdictSchema } from './common.js'
import { jsonAs, operation, stream } from './operation.js'

/** A StoredEvent of core/types.ts. New types and fields may come. */
export const eventSchema = z.looseObject({
  seq: z.int(),
  time: z.string(),
  type: z.string(),
  prev: z.string(),
  hash: z.string(),
  session: z.string().optional(),
  user: z.string().optional(),
  from: z.string().optional(),
  door: z.string().optional(),
  target: targetSchema.optional(),
  batch: z.string().optional(),
})

const filters = {
  user: userQuery.optional(),
  target: targetQuery.optional(),
  session: sessionIdSchema.optional(),
  type: z
    .string()
    .regex(/^[a-z]+(\.[a-z]+)*$/)
    .max(64)
    .optional()
    .describe('Type of event'),
  verdict: verdictSchema.optional(),
  text: textQuery.optional().describe('In lines, paths, reasons, users, targets'),
  batch: batchQuery.optional(),
  ...rangeQuery,
  ...pageQuery,
}

export const auditOperations = {
  listAudit: operation({
    topic: 'audit',
    method: 'GET',
    path: '/api/v1/audit',
    access: 'user',
    summary: 'Events, newest first: your own; all of them for auditors. With follow=1 a stream (application/x-ndjson) of those to come',
    query: z.strictObject({ ...filters, follow: z.enum(['0', '1']).optional().describe('1: a line for each event from now on') }),
    answer: jsonAs<Page<StoredEvent>>(pageOf(eventSchema)),
  }),
  followAudit: operation({
    topic: 'audit',
    method: 'GET',
    path: '/api/v1/audit',
    access: 'user',
    summary: 'A line for each event from now on; an empty line is a sign of life',
    query: z.strictObject({ ...filters, follow: z.literal('1') }),
    answer: stream('application/x-ndjson'),
    variantOf: 'listAudit',
  }),
}
