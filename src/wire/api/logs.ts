/** GET /api/v1/logs: what the program of a container has written, and goes on writing. */
import { z } from 'zod'
import { operation, stream } from './operation.js'

/** Of an answer that names no limit of its own. */
export const DEFAULT_LOG_BYTES = 16 * 1024 * 1024
export const MAX_LOG_BYTES = 1024 * 1024 * 1024
/** Of one that follows: it ends with its reader. */
export const MAX_LOG_LINES = 10_000_000
const MAX_TEXTS = 8

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')
const texts = z
  .union([z.string(), z.array(z.string()).max(MAX_TEXTS)])
  .transform((text) => [text].flat())
  .pipe(z.array(z.string().min(1).max(256)))

export const logsQuerySchema = z.strictObject({
  target: z.string().min(1).max(512).describe('POD[.NAMESPACE[.CLUSTER]][+CONTAINER]; the container may have ended'),
  container: z.string().min(1).max(253).optional().describe('Where `target` names none'),
  follow: flag.optional().describe('Go on until the container ends'),
  tail: z.coerce.number().int().min(0).max(MAX_LOG_LINES).optional().describe('Only the last so many lines, counted before grep and exclude'),
  since: z
    .union([z.string().regex(/^\d{1,9}(ms|s|m|h|d)$/), z.iso.datetime({ offset: true })])
    .optional()
    .describe('5m, 2h, 1d ago, or RFC 3339'),
  timestamps: flag.optional().describe('Each line begins with its time'),
  previous: flag.optional().describe('Of the container before this one: what a crash left'),
  stream: z.enum(['stdout', 'stderr']).optional().describe('Only this one; not through an API server, which joins them'),
  grep: texts.optional().describe(`Lines that hold this text; all of them where there are several, ${MAX_TEXTS} at most`),
  exclude: texts.optional().describe('Lines that do not hold this text'),
  ignoreCase: flag.optional().describe('For grep and exclude'),
  limitBytes: z.coerce.number().int().min(1).max(MAX_LOG_BYTES).optional().describe('The output ends there and says so; 16 MiB, or 1 GiB with follow'),
})
export type LogsQuery = z.output<typeof logsQuerySchema>

export const logsOperations = {
  readLogs: operation({
    topic: 'logs',
    method: 'GET',
    path: '/api/v1/logs',
    access: 'user',
    summary:
      'Log of a container: lines of {stream, data}, as exec answers them; with Accept: text/plain as it is. Door logs; each look is a session of the audit',
    query: logsQuerySchema,
    answer: stream('application/x-ndjson'),
  }),
}
