/** Pages of /openapi.json for operations of the table whose routes other files register (exec, cmdb): they share its schemas. */
import { z } from 'zod'
import { errorSchema } from '../wire/api/common.js'
import type { Operation } from '../wire/api/operation.js'

/** An operation as OpenAPI 3.1 writes it. */
export function pageOfOperation(name: string, operation: Operation): object {
  const { topic, summary, access, params, query, body, upload, answer, status = 200 } = operation
  const error = { content: { 'application/json': { schema: schemaOf(errorSchema, 'output') } } }
  const bytes = { schema: { type: 'string', format: 'binary' } }
  const done =
    answer.kind === 'json'
      ? { 'application/json': { schema: schemaOf(answer.schema, 'output') } }
      : answer.kind === 'stream'
        ? { [answer.mediaType]: bytes }
        : undefined
  return {
    operationId: name,
    tags: [topic],
    summary,
    description: access === 'anyone' ? 'Without a login.' : `Needs the role ${access}.`,
    parameters: [...parametersOf(params, 'path'), ...parametersOf(query, 'query')],
    ...(body && !upload && { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
    ...(upload && { requestBody: { required: true, content: { 'application/octet-stream': bytes } } }),
    responses: {
      ...(done && { [status]: { description: 'Done', content: done } }),
      '4XX': { description: 'Refused', ...error },
      '5XX': { description: 'Failed', ...error },
    },
  }
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): object[] {
  if (!(schema instanceof z.ZodObject)) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as { properties?: Record<string, object>; required?: readonly string[] }
  return Object.entries(properties).map(([key, each]) => ({ in: place, name: key, required: required.includes(key), schema: each }))
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}
