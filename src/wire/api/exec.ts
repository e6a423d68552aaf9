/** POST /api/v1/exec: a command in one target, from the first question to its exit code. */
import { z } from 'zod'
import { batchIdSchema } from './common.js'
import { json, operation, SOCKET } from './operation.js'

/** Longest command line, and the longest of all words of an argv together; Linux' own limit for one word is 128 KiB. */
const MAX_LINE_CHARS = 128 * 1024
/** `maxOutputBytes` at most, for each of stdout and stderr: both are held in memory until the program has ended. */
export const MAX_OUTPUT_BYTES = 16 * 1024 * 1024
export const DEFAULT_OUTPUT_BYTES = 1024 * 1024
export const MAX_TIMEOUT_MS = 24 * 3_600_000
/** Of a one-shot exec; a streaming one has no limit unless it asks for one. */
export const DEFAULT_TIMEOUT_MS = 60_000

const noNul = (text: string) => !text.includes('\0')
const word = z.string().refine(noNul, 'must not hold a NUL')
const name = z.string().min(1).max(253)

export const execTargetSchema = z.union([
  /** contract.md, "Address": POD[.NAMESPACE[.CLUSTER]][+CONTAINER]. */
  z.string().min(1).max(512),
  z.strictObject({ cluster: name.optional(), namespace: name.optional(), pod: name, container: name.optional() }),
])

export const execRequestSchema = z
  .strictObject({
    target: execTargetSchema,
    /** Where `target` names no container. */
    container: name.optional(),
    /** A line for the image's /bin/sh, as with `ssh HOST LINE`. */
    command: word.min(1).max(MAX_LINE_CHARS).optional(),
    /** A program and its arguments, in place of `command`. */
    argv: z.array(word).min(1).max(4096).optional(),
    /** The whole of stdin: as text, or as base64. */
    stdin: z.string().optional(),
    stdinBase64: z.base64().optional(),
    /** LANG, LC_*, TZ and COLORTERM, as with ssh; others are refused. */
    env: z.record(z.string().max(64), z.string().max(256)).optional(),
    /** The program is ended after so long. Default 60 s; none when streaming. */
    timeoutMs: z.int().min(1).max(MAX_TIMEOUT_MS).optional(),
    /** Of stdout and of stderr each; what is more is read and dropped. Default 1 MiB; does not apply when streaming. */
    maxOutputBytes: z.int().min(0).max(MAX_OUTPUT_BYTES).optional(),
    /** One id over the execs of a batch: the door is then `batch`, and the id stands in every event. */
    batch: batchIdSchema.optional(),
  })
  .refine(({ command, argv }) => (command === undefined) !== (argv === undefined), 'give exactly one of command and argv')
  .refine(({ argv }) => argv?.[0] !== '', 'argv must begin with the name of a program')
  .refine(({ argv }) => argv === undefined || argv.reduce((sum, one) => sum + one.length + 1, 0) <= MAX_LINE_CHARS, 'argv is too long')
  .refine(({ stdin, stdinBase64 }) => stdin === undefined || stdinBase64 === undefined, 'give at most one of stdin and stdinBase64')
export type ExecApiRequest = z.infer<typeof execRequestSchema>

export const execErrorSchema = z.object({
  /** Of the table in core/errors.ts. */
  code: z.string(),
  message: z.string(),
  rule: z.string().optional(),
})

/** The answer when the program has run; a refusal is an HTTP error `{code, message, rule?, session?, exit, trace}` instead. */
export const execAnswerSchema = z.object({
  session: z.string(),
  /** cluster/namespace/pod/container */
  target: z.string(),
  rule: z.string(),
  /** Which pod was taken, when the choice was ours. */
  note: z.string().optional(),
  /** 0 to 255; contract.md, "Exit codes". */
  exit: z.int(),
  /** Without SIG, when a signal ended the program. */
  signal: z.string().optional(),
  /** Exactly one of the two forms: base64 where the bytes are not UTF-8. */
  stdout: z.string().optional(),
  stdoutBase64: z.string().optional(),
  stderr: z.string().optional(),
  stderrBase64: z.string().optional(),
  /** Which outputs were longer than maxOutputBytes. */
  truncated: z.object({ stdout: z.boolean(), stderr: z.boolean() }),
  /** What the program wrote in all. */
  bytes: z.object({ stdout: z.int(), stderr: z.int() }),
  ms: z.int(),
  /** Why the program did not come to its own end: the time limit, an administrator, a lost connection. */
  error: execErrorSchema.optional(),
  batch: z.string().optional(),
})
export type ExecApiAnswer = z.infer<typeof execAnswerSchema>

/** One line of the streaming answer (Accept: application/x-ndjson), in this order: `session`, any of the middle ones, `exit`. */
export const execLineSchema = z.union([
  z.object({ session: z.string(), target: z.string(), rule: z.string(), note: z.string().optional(), batch: z.string().optional() }),
  z.object({ stream: z.enum(['stdout', 'stderr']), data: z.string() }),
  z.object({ stream: z.enum(['stdout', 'stderr']), base64: z.string() }),
  z.object({ heartbeat: z.literal(true) }),
  z.object({ exit: z.int(), signal: z.string().optional(), ms: z.int(), error: execErrorSchema.optional() }),
])
export type ExecApiLine = z.infer<typeof execLineSchema>

/** Query of the WebSocket (subprotocols v5.channel.k8s.io, v4.channel.k8s.io); further parameters are refused where they would change what runs. */
const execSocketQuery = z.object({
  target: z.string().min(1).max(512),
  container: name.optional(),
  /** The program and its arguments, one `command` each; none with `tty`: a shell. */
  command: z.union([word, z.array(word)]).optional(),
  /** A line for /bin/sh in place of `command`. */
  line: word.optional(),
  stdin: z.stringbool().optional(),
  stdout: z.stringbool().optional(),
  stderr: z.stringbool().optional(),
  tty: z.stringbool().optional(),
  term: z.string().max(64).optional(),
  columns: z.coerce.number().int().min(1).max(65535).optional(),
  rows: z.coerce.number().int().min(1).max(65535).optional(),
})

export const execOperations = {
  exec: operation({
    topic: 'exec',
    method: 'POST',
    path: '/api/v1/exec',
    access: 'user',
    summary: 'Runs one command in one target; with Accept: application/x-ndjson its output comes line by line',
    body: execRequestSchema,
    answer: json(execAnswerSchema),
  }),
  openExec: operation({
    topic: 'exec',
    method: 'GET',
    path: '/api/v1/exec',
    access: 'user',
    summary: "A command or a terminal over a WebSocket, in Kubernetes' channel protocol",
    query: execSocketQuery,
    answer: SOCKET,
  }),
}
