/** What shells and their tools say when they fail, as FileError. */
import { FileError, type FileErrorCode } from '../core/files.js'
import { escapePeerText } from '../core/log.js'

const MESSAGES: Readonly<Partial<Record<FileErrorCode, string>>> = {
  NO_SUCH_FILE: 'No such file',
  PERMISSION_DENIED: 'Permission denied',
  EXISTS: 'It exists already',
  NOT_DIRECTORY: 'Not a directory',
  IS_DIRECTORY: 'It is a directory',
  NOT_EMPTY: 'The directory is not empty',
  NO_SPACE: 'No space left in the container',
  READ_ONLY: 'The file system is read-only',
  SYMLINK_LOOP: 'Symbolic links lead in a circle',
  NAME_TOO_LONG: 'The name is too long',
  NOT_REGULAR: 'Not a regular file: it has no content to transfer',
  CROSS_DEVICE: 'It cannot be moved to another file system',
  INVALID: 'That cannot be done to it',
  UNSUPPORTED: 'The tools of this image cannot do that; the agent of the node can',
}
/** Words of our own script that are no codes. */
const OWN: Readonly<Record<string, readonly [code: FileErrorCode, message: string]>> = {
  MOVED: ['FAILURE', 'The file was moved, removed or replaced while it was open'],
  TOO_LONG: ['FAILURE', 'The directory is too long to be listed with the tools of this image'],
}
/** strerror of glibc and musl, and what dash and ash say in its place. */
const SAID: readonly (readonly [RegExp, FileErrorCode])[] = [
  [/no such file|nonexistent/i, 'NO_SUCH_FILE'],
  [/permission denied|operation not permitted|text file busy/i, 'PERMISSION_DENIED'],
  [/file exists|cannot overwrite existing file/i, 'EXISTS'],
  [/not a directory/i, 'NOT_DIRECTORY'],
  [/is a directory/i, 'IS_DIRECTORY'],
  [/directory not empty/i, 'NOT_EMPTY'],
  [/no space left|quota exceeded/i, 'NO_SPACE'],
  [/read-only file system/i, 'READ_ONLY'],
  [/symbolic links|link loop/i, 'SYMLINK_LOOP'],
  [/name too long|filename too long/i, 'NAME_TOO_LONG'],
  [/cross-device/i, 'CROSS_DEVICE'],
  [/invalid argument|subdirectory of itself/i, 'INVALID'],
  [/unrecognized option|invalid option|invalid date|unknown operand|not found$/i, 'UNSUPPORTED'],
]

/** @param said content of a failed answer; its last line holds the reason, after what may be a part of a file */
export function errorOf(said: Buffer): FileError {
  const lines = said.subarray(-4096).toString().trimEnd().split('\n')
  const last = lines.findLast((line) => !/^Try |^Usage|--help/.test(line)) ?? ''
  const word = /!([A-Z_]+)$/.exec(last)?.[1]
  const own = word === undefined ? undefined : OWN[word]
  if (own) return new FileError(...own)
  const code = Object.keys(MESSAGES).find((name) => name === word) as FileErrorCode | undefined
  if (code) return fileError(code)
  // the reason is the last part: what is before it may be a name, which may be anything
  const reason = last.slice(last.lastIndexOf(': ') + 1)
  const found = SAID.find(([pattern]) => pattern.test(reason))
  return found ? fileError(found[1]) : new FileError('FAILURE', escapePeerText(last, 200) || 'It failed in the container')
}

export function fileError(code: FileErrorCode): FileError {
  return new FileError(code, MESSAGES[code] ?? code)
}
