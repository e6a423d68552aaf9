/** What a request brought, checked against a schema. */
import type { z } from 'zod'
import { OpsError } from '../core/errors.js'

/** @param what the door, for the log @throws OpsError BAD_REQUEST with the first mistake and where it stands */
export function parsed<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const detail = [issue?.path.join('.') ?? '', issue?.message ?? 'not valid'].filter((part) => part !== '').join(': ')
  throw new OpsError('BAD_REQUEST', `${what}: ${detail}`, { detail })
}
