/** Files of a container: look, list, get and put one. Every operation is decided and logged as one over sftp is. */
import { z } from 'zod'
import { batchIdSchema } from './common.js'
import { contentSchema, json, operation, stream } from './operation.js'

export const fileQuery = {
  /** contract.md, "Address" */
  target: z.string().min(1).max(512),
  container: z.string().min(1).max(253).optional(),
  /** Absolute, or below the home of the container's user. */
  path: z
    .string()
    .min(1)
    .max(4096)
    .refine((path) => !path.includes('\0'), 'must not hold a NUL'),
  /** One id over the operations of a batch: the door is then `batch`, and the id stands in every event. */
  batch: batchIdSchema.optional(),
}
export const fileQuerySchema = z.strictObject(fileQuery)
export const filePutSchema = z.strictObject({
  ...fileQuery,
  /** Permission bits in octal: 0644. The container's default when absent. */
  mode: z
    .string()
    .regex(/^0?[0-7]{3}$/, 'must be like 0644')
    .optional(),
  /** false refuses where there is a file already. */
  overwrite: z.enum(['true', 'false']).default('true'),
})

export const fileFactsSchema = z.object({
  /** One name in a list; the path that was asked for otherwise. Bytes that are not UTF-8 show as U+FFFD. */
  name: z.string(),
  kind: z.string(),
  /** Octal: "0644". */
  mode: z.string(),
  uid: z.int(),
  gid: z.int(),
  size: z.int(),
  /** RFC 3339 */
  mtime: z.string(),
})
export type FileFactsItem = z.infer<typeof fileFactsSchema>
export const fileListSchema = z.object({ items: z.array(fileFactsSchema), /** There are more than are listed. */ truncated: z.boolean() })
export const filePutAnswer = z.object({ path: z.string(), bytes: z.int(), session: z.string() })

export const fileOperations = {
  getFile: operation({
    topic: 'files',
    method: 'GET',
    path: '/api/v1/files',
    access: 'user',
    summary: 'Content of a file',
    query: fileQuerySchema,
    answer: stream('application/octet-stream'),
  }),
  putFile: operation({
    topic: 'files',
    method: 'PUT',
    path: '/api/v1/files',
    access: 'user',
    summary: 'Writes a file: the body is its content',
    query: filePutSchema,
    body: contentSchema,
    upload: true,
    answer: json(filePutAnswer),
    status: 201,
  }),
  listFiles: operation({
    topic: 'files',
    method: 'GET',
    path: '/api/v1/files/list',
    access: 'user',
    summary: 'Entries of a directory',
    query: fileQuerySchema,
    answer: json(fileListSchema),
  }),
  statFile: operation({
    topic: 'files',
    method: 'GET',
    path: '/api/v1/files/stat',
    access: 'user',
    summary: 'What is known of a file; links are followed',
    query: fileQuerySchema,
    answer: json(fileFactsSchema),
  }),
}
