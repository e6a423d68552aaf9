/** Schemas that several topics share. Objects of requests refuse unknown keys; answers may grow. */
import { z } from 'zod'
import { ERRORS } from '../../core/errors.js'
import { DOORS } from '../../core/types.js'

/** Base of every path here. */
export const API_BASE = '/api/v1'
/** Present, with any value, on every unsafe request that a cookie authenticates: no form and no foreign page can set it. */
export const CSRF_HEADER = 'x-dockin-csrf'

/** What names a recording's file: no dots, no separators (store/tape-file.ts). */
export const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/
export const sessionIdSchema = z.string().regex(SESSION_ID, 'is not a session id').describe('Id of a session')
export const sessionParams = z.strictObject({ id: sessionIdSchema })

export const errorSchema = z
  .looseObject({
    code: z.enum(Object.keys(ERRORS) as [keyof typeof ERRORS]).describe('Stable name of the error'),
    message: z.string().describe('One line for people'),
    rule: z.string().optional().describe('The rule that refused'),
    trace: z.string().describe('Stands in the log beside what happened'),
  })
  .describe('Why a request was not served')
export type ApiErrorBody = z.output<typeof errorSchema>

export const roleSchema = z.enum(['user', 'auditor', 'admin'])
export const doorSchema = z.enum(DOORS)
export const timeSchema = z.iso.datetime({ offset: true }).describe('RFC 3339')
export const verdictSchema = z.enum(['allow', 'deny', 'approved', 'refused'])

/** A container as events name it. */
export const targetSchema = z.looseObject({
  cluster: z.string(),
  namespace: z.string(),
  pod: z.string(),
  container: z.string(),
  uid: z.string(),
  node: z.string(),
})

const shortText = z.string().min(1).max(256)
export const textQuery = shortText.describe('Text that must occur, without regard to case')
export const userQuery = shortText.describe('Name of a user')
export const targetQuery = z.string().min(1).max(1024).describe('Part of cluster/namespace/pod/container')
export const batchQuery = z.string().min(1).max(64).describe('Id of a batch')

/** What a client calls a batch. */
export const batchIdSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/, 'must be 1 to 64 letters, digits, ".", "_", ":" or "-"')

/** Where a part of a list begins and how long it is. */
export const pageQuery = {
  cursor: z.string().min(1).max(2048).optional().describe('`next` of the part before'),
  limit: z.coerce.number().int().min(1).max(1000).optional().describe('Most items in one part; 100'),
}
export const rangeQuery = {
  from: timeSchema.optional().describe('Not before, RFC 3339'),
  to: timeSchema.optional().describe('Not after, RFC 3339'),
  order: z.enum(['newest', 'oldest']).optional().describe('newest'),
}

/** A part of a list; without `next` it is the last. */
export function pageOf<S extends z.ZodType>(item: S) {
  return z.object({ items: z.array(item), next: z.string().optional().describe('Cursor of the next part') })
}

export const doneSchema = z.object({ done: z.literal(true) })
