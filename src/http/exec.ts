/** POST /api/v1/exec: one command in one target; one answer when it has ended, or its output line by line as it comes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OpsError } from '../core/errors.js'
import type { Identity } from '../core/types.js'
import { DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT_MS, type ExecApiAnswer, type ExecApiRequest, execRequestSchema } from '../wire/api/exec.js'
import { answerNdjson } from './exec-ndjson.js'
import { KeptOutput } from './exec-output.js'
import { type ExecDoorParts, errorBody } from './exec-parts.js'
import { type ExecFacts, execStart } from './exec-run.js'

/** stdin in base64 and the rest; what is larger belongs to /files. */
const MAX_BODY_BYTES = 16 * 1024 * 1024

/** @returns a route for `startHttpServer`; also where another table of operations registers the same handler */
export function execRoutes(parts: ExecDoorParts): (app: FastifyInstance) => void {
  return (app) => {
    app.post('/api/v1/exec', { bodyLimit: MAX_BODY_BYTES }, (request, reply) => handleExec(parts, request, reply))
  }
}

/** Who asks is known before the body is looked at: nobody learns the shape of a request without a login. */
async function handleExec(parts: ExecDoorParts, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const identity = await parts.identify(request.raw)
  const exec = parseExec(request.body)
  const release = parts.slots.take(identity.user)
  try {
    if (wantsLines(request.headers.accept)) return await answerNdjson(parts, execStart(parts, identity, exec, exec.timeoutMs), reply)
    return await answerWhole(parts, identity, exec, reply)
  } finally {
    release()
  }
}

/** @throws OpsError BAD_REQUEST with the first mistake and where it stands */
export function parseExec(body: unknown): ExecApiRequest {
  const result = execRequestSchema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const at = issue?.path.join('.') ?? ''
  const detail = `${at === '' ? '' : `${at}: `}${issue?.message ?? 'not an exec'}`
  throw new OpsError('BAD_REQUEST', `exec refused: ${detail}`, { detail })
}

function wantsLines(accept: string | undefined): boolean {
  return /(^|,)\s*application\/x-ndjson\s*(;|,|$)/i.test(accept ?? '')
}

async function answerWhole(parts: ExecDoorParts, identity: Identity, exec: ExecApiRequest, reply: FastifyReply): Promise<unknown> {
  const cap = exec.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES
  const outputs = { stdout: new KeptOutput(cap), stderr: new KeptOutput(cap) }
  let facts: ExecFacts | undefined
  const start = execStart(parts, identity, exec, exec.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  const running = start(
    (stream, chunk) => outputs[stream].add(chunk),
    (opened) => {
      facts = opened
    },
  )
  reply.raw.once('close', running.leave)
  const { exit, signal, ms, error, started, session } = await running.end
  reply.raw.off('close', running.leave)
  if (error && (!started || !facts)) {
    reply.code(error.httpStatus)
    return { ...errorBody(error), exit, trace: reply.request.id, ...(session !== undefined && { session }) }
  }
  if (!facts) throw new OpsError('INTERNAL', 'an exec ended without a session')
  const [stdout, stderr] = [outputs.stdout.content(), outputs.stderr.content()]
  const answer: ExecApiAnswer = {
    ...facts,
    exit,
    ...(signal !== undefined && { signal }),
    ...('text' in stdout ? { stdout: stdout.text } : { stdoutBase64: stdout.base64 }),
    ...('text' in stderr ? { stderr: stderr.text } : { stderrBase64: stderr.base64 }),
    truncated: { stdout: outputs.stdout.truncated, stderr: outputs.stderr.truncated },
    bytes: { stdout: outputs.stdout.bytes, stderr: outputs.stderr.bytes },
    ms,
    ...(error && { error: errorBody(error) }),
  }
  return answer
}
