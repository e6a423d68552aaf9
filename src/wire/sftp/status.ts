/** FileError as SFTP status and back; draft s7. */
import { FileError, type FileErrorCode } from '../../core/files.js'
import type { SftpResponse } from './packets.js'

export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const

/** Version 3 has no more words than these; the message says the rest. */
const STATUS_OF: Readonly<Record<FileErrorCode, number>> = {
  NO_SUCH_FILE: STATUS.noSuchFile,
  PERMISSION_DENIED: STATUS.permissionDenied,
  EXISTS: STATUS.failure,
  // OpenSSH's server says "No such file" at ENOTDIR and ELOOP (sftp-server.c, errno_to_portable)
  NOT_DIRECTORY: STATUS.noSuchFile,
  IS_DIRECTORY: STATUS.failure,
  NOT_EMPTY: STATUS.failure,
  NO_SPACE: STATUS.failure,
  READ_ONLY: STATUS.permissionDenied,
  SYMLINK_LOOP: STATUS.noSuchFile,
  NAME_TOO_LONG: STATUS.failure,
  NOT_REGULAR: STATUS.failure,
  CROSS_DEVICE: STATUS.failure,
  INVALID: STATUS.badMessage,
  UNSUPPORTED: STATUS.unsupported,
  // not 7: OpenSSH's client takes that for its own connection and leaves without the message
  CONNECTION_LOST: STATUS.failure,
  REFUSED: STATUS.permissionDenied,
  FAILURE: STATUS.failure,
}
const CODE_OF: ReadonlyMap<number, FileErrorCode> = new Map([
  [STATUS.noSuchFile, 'NO_SUCH_FILE'],
  [STATUS.permissionDenied, 'PERMISSION_DENIED'],
  [STATUS.badMessage, 'INVALID'],
  [STATUS.noConnection, 'CONNECTION_LOST'],
  [STATUS.connectionLost, 'CONNECTION_LOST'],
  [STATUS.unsupported, 'UNSUPPORTED'],
])
const MESSAGE_CHARACTERS = 1000

export type StatusResponse = Extract<SftpResponse, { readonly type: 'status' }>

export function okStatus(id: number): StatusResponse {
  return { type: 'status', id, code: STATUS.ok, message: 'Success', language: '' }
}

export function eofStatus(id: number): StatusResponse {
  return { type: 'status', id, code: STATUS.eof, message: 'End of file', language: '' }
}

/** @param exact the language tag carries the code, for peers of our own */
export function errorStatus(id: number, error: FileError, exact: boolean): StatusResponse {
  return { type: 'status', id, code: STATUS_OF[error.code], message: oneLine(error.message), language: exact ? error.code : '' }
}

/** What a status that is neither OK nor EOF says. */
export function statusError({ code, message, language }: StatusResponse): FileError {
  const exact = isFileErrorCode(language) ? language : undefined
  return new FileError(exact ?? CODE_OF.get(code) ?? 'FAILURE', oneLine(message) || `SFTP status ${code}`)
}

/** Anything thrown, as a FileError; the inside of what is none is not told. */
export function toFileError(thrown: unknown): FileError {
  return thrown instanceof FileError ? thrown : new FileError('FAILURE', 'Failure', { cause: thrown })
}

function isFileErrorCode(text: string): text is FileErrorCode {
  return Object.hasOwn(STATUS_OF, text)
}

/** It goes to terminals: a name in it may hold anything. */
function oneLine(message: string): string {
  return message.slice(0, MESSAGE_CHARACTERS).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
