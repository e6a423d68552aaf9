/** Sessions, live and past: their facts, recordings and commands, and what an admin may do to them. */
import { z } from 'zod'
import {
  batchQuery,
  doneSchema,
  doorSchema,
  pageOf,
  pageQuery,
  rangeQuery,
  sessionParams,
  targetQuery,
  targetSchema,
  textQuery,
  timeSchema,
  userQuery,
  verdictSchema,
} from './common.js'
import { json, operation, SOCKET, stream } from './operation.js'

export const sessionStateSchema = z.enum(['live', 'ended', 'refused'])

export const reviewSchema = z.object({ by: z.string(), at: timeSchema, note: z.string() })

/** A SessionSummary of core/types.ts. */
export const sessionItem = z.object({
  id: z.string(),
  state: sessionStateSchema,
  user: z.string(),
  from: z.string().describe('HOST:PORT'),
  door: doorSchema,
  target: targetSchema.optional(),
  address: z.string().optional().describe('What a refused session asked for'),
  rule: z.string().optional(),
  startedAt: timeSchema,
  endedAt: timeSchema.optional(),
  ms: z.number().optional(),
  exit: z.int().optional(),
  reason: z.string().optional(),
  via: z.string().optional(),
  bytesIn: z.number().optional(),
  bytesOut: z.number().optional(),
  pty: z.object({ term: z.string(), columns: z.int(), rows: z.int() }).optional(),
  recording: z.string().optional().describe('Path below dataDir'),
  recordingSha256: z.string().optional(),
  commands: z.int(),
  denied: z.int(),
  files: z.int(),
  batch: z.string().optional(),
  review: reviewSchema.optional(),
})

export const lockSchema = z.object({ by: z.string(), at: timeSchema, reason: z.string().optional() })
/** Also what only the gateway knows while a session runs. */
export const sessionDetail = sessionItem.extend({
  command: z.string().optional().describe('The command line of an exec'),
  locked: lockSchema.optional().describe('The input of the user is held'),
  watchers: z.int().optional().describe('Who look at it now'),
  hasRecording: z.boolean(),
})
export type SessionDetail = z.output<typeof sessionDetail>

/** One line that was typed or asked for, where it stands in the recording. */
export const commandItem = z.object({
  seq: z.int().describe('Of its event, and of its marker in the recording'),
  time: timeSchema,
  offset: z.number().describe('Seconds into the recording'),
  line: z.string().optional(),
  lineBase64: z.string().optional().describe('In place of line where it is not UTF-8'),
  cwd: z.string().optional(),
  verdict: verdictSchema,
  rule: z.string().optional(),
  reason: z.string().optional(),
  commands: z.array(z.array(z.string())).optional(),
  confidence: z.enum(['exact', 'nested', 'advisory']),
  status: z.int().optional().describe('Exit status, once it has ended'),
  ms: z.number().optional(),
})
export type CommandItem = z.output<typeof commandItem>

const reason = z.string().trim().min(1).max(500)

export const sessionOperations = {
  listSessions: operation({
    topic: 'sessions',
    method: 'GET',
    path: '/api/v1/sessions',
    access: 'user',
    summary: 'Sessions, newest first: your own; all of them for auditors',
    query: z.strictObject({
      user: userQuery.optional(),
      target: targetQuery.optional(),
      type: doorSchema.optional().describe('The door by which it came'),
      state: sessionStateSchema.optional(),
      text: textQuery.optional().describe('In any of its events'),
      batch: batchQuery.optional(),
      ...rangeQuery,
      ...pageQuery,
    }),
    answer: json(pageOf(sessionItem)),
  }),
  getSession: operation({
    topic: 'sessions',
    method: 'GET',
    path: '/api/v1/sessions/{id}',
    access: 'user',
    summary: 'One session',
    params: sessionParams,
    answer: json(sessionDetail),
  }),
  getRecording: operation({
    topic: 'sessions',
    method: 'GET',
    path: '/api/v1/sessions/{id}/recording',
    access: 'user',
    summary: 'Its recording as asciicast v2, whole or in parts; of a live session what has been written so far. The look is an event',
    params: sessionParams,
    query: z.strictObject({
      from: z.coerce.number().min(0).max(1e9).optional().describe('Begin at this second: header, the screen as it was, what follows; times stay'),
      limit: z.coerce
        .number()
        .int()
        .min(1)
        .max(4 * 2 ** 20)
        .optional()
        .describe('A part of about so many bytes; its header tells in dockin.part its second, the total of seconds, and the next block'),
      seq: z.coerce.number().int().min(1).optional().describe('With limit: begin at this command, by the number of its event'),
      time: timeSchema.optional().describe('With limit: begin at this moment'),
      block: z.coerce.number().int().min(0).optional().describe('With limit: go on at this block, without a screen'),
    }),
    answer: stream('application/x-asciicast'),
  }),
  listCommands: operation({
    topic: 'sessions',
    method: 'GET',
    path: '/api/v1/sessions/{id}/commands',
    access: 'user',
    summary: 'Its command lines in order, with their second in the recording',
    params: sessionParams,
    query: z.strictObject({ ...pageQuery }),
    answer: json(pageOf(commandItem)),
  }),
  watchSession: operation({
    topic: 'sessions',
    method: 'GET',
    path: '/api/v1/sessions/{id}/live',
    access: 'auditor',
    summary: 'WebSocket: each message is a line of asciicast v2, the header first, then the last output, then what happens. Closed with 1000 at the end',
    params: sessionParams,
    answer: SOCKET,
  }),
  lockSession: operation({
    topic: 'sessions',
    method: 'POST',
    path: '/api/v1/sessions/{id}/lock',
    access: 'admin',
    summary: 'Hold what the user types, and say so in the terminal',
    params: sessionParams,
    body: z.strictObject({ reason: reason.optional() }).optional(),
    answer: json(sessionDetail),
  }),
  unlockSession: operation({
    topic: 'sessions',
    method: 'POST',
    path: '/api/v1/sessions/{id}/unlock',
    access: 'admin',
    summary: 'Let what the user types through again',
    params: sessionParams,
    body: z.strictObject({}).optional(),
    answer: json(sessionDetail),
  }),
  endSession: operation({
    topic: 'sessions',
    method: 'POST',
    path: '/api/v1/sessions/{id}/end',
    access: 'admin',
    summary: 'End a session; the user reads the reason',
    params: sessionParams,
    body: z.strictObject({ reason }),
    answer: json(doneSchema),
  }),
  reviewSession: operation({
    topic: 'review',
    method: 'POST',
    path: '/api/v1/sessions/{id}/review',
    access: 'auditor',
    summary: 'Mark a session as reviewed; an event of the log',
    params: sessionParams,
    body: z.strictObject({ note: z.string().trim().max(4000).default('') }),
    answer: json(reviewSchema),
  }),
  getEvidence: operation({
    topic: 'review',
    method: 'GET',
    path: '/api/v1/sessions/{id}/evidence',
    access: 'auditor',
    summary: 'A pack (tar) that an outsider verifies offline: recording, events, checkpoints, public key, how to',
    params: sessionParams,
    answer: stream('application/x-tar'),
  }),
}
