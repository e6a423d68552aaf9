/** One operation on files as a session of the HTTP door: through the one entrance, to its answer or its refusal. */
import type { Readable, Writable } from 'node:stream'
import { ERRORS, type ErrorCode, OpsError, toOpsError } from '../core/errors.js'
import { type FileAccess, FileError, type FileErrorCode } from '../core/files.js'
import type { Identity } from '../core/types.js'
import { ExecClientEnd, type TakeOutput } from './exec-client-end.js'
import type { ExecDoorParts } from './exec-parts.js'

export interface FileAsk {
  readonly identity: Identity
  readonly address: string
  /** One id over the operations of a batch. */
  readonly batch?: string | undefined
  /** The content of an upload. */
  readonly input?: Readable
  /** The content of a download. */
  readonly take?: TakeOutput
}
export interface FileSession<T> {
  /** @throws OpsError */
  readonly done: Promise<{ readonly value: T; readonly session: string }>
  leave(): void
}

export function fileSession<T>(
  parts: Pick<ExecDoorParts, 'open'>,
  { identity, address, batch, input, take }: FileAsk,
  work: (files: FileAccess, lanes: { readonly input: Readable; readonly output: Writable }, signal: AbortSignal) => Promise<T>,
): FileSession<T> {
  let answer: { readonly value: T } | undefined
  let failure: OpsError | undefined
  let session = ''
  // what a rule refused is told on stderr as well, which is not this door's way
  const client = new ExecClientEnd(input ?? Buffer.alloc(0), (stream, chunk) => (stream === 'stdout' ? take?.(stream, chunk) : undefined))
  const opening = parts.open(
    {
      door: batch === undefined ? 'http' : 'batch',
      identity,
      address,
      ...(batch !== undefined && { batch }),
      env: {},
      errand: async (files, lanes, signal) => {
        try {
          answer = { value: await work(files, lanes, signal) }
          return 0
        } catch (error) {
          failure = ofFile(error)
          return failure.exit
        }
      },
      observer: {
        opened: (facts) => {
          session = facts.session
        },
        failed: (error) => {
          failure ??= error
        },
      },
    },
    client,
  )
  const finish = async (): Promise<{ value: T; session: string }> => {
    await opening
    await client.ended
    if (failure) throw failure
    if (!answer) throw new OpsError('INTERNAL', 'a file session ended without an answer')
    return { value: answer.value, session }
  }
  return { done: finish(), leave: () => client.leave(new OpsError('CLIENT_GONE', 'the caller of the API hung up')) }
}

/** What a container or a rule says of a file, in the API's words. */
const CODES: Readonly<Partial<Record<FileErrorCode, ErrorCode>>> = {
  NO_SUCH_FILE: 'NOT_FOUND',
  PERMISSION_DENIED: 'FILE_REFUSED',
  REFUSED: 'FILE_REFUSED',
  CONNECTION_LOST: 'PROTOCOL_ERROR',
  FAILURE: 'PROTOCOL_ERROR',
}

function ofFile(error: unknown): OpsError {
  if (!(error instanceof FileError)) return toOpsError(error)
  const code = CODES[error.code] ?? 'BAD_REQUEST'
  // sftp clients read the message alone, so it begins as the table does
  const prefix = `${ERRORS[code].text}: `
  const detail = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
  return new OpsError(code, `${error.code}: ${error.message}`, { cause: error, detail })
}
