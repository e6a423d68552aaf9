/** What the kernel says, as FileError. */
import { FileError, type FileErrorCode } from '../../src/core/files.js'

const ERRNO: Readonly<Record<string, readonly [code: FileErrorCode, text: string]>> = {
  ENOENT: ['NO_SUCH_FILE', 'No such file or directory'],
  EACCES: ['PERMISSION_DENIED', 'Permission denied'],
  EPERM: ['PERMISSION_DENIED', 'Operation not permitted'],
  EEXIST: ['EXISTS', 'File exists'],
  ENOTDIR: ['NOT_DIRECTORY', 'Not a directory'],
  EISDIR: ['IS_DIRECTORY', 'Is a directory'],
  ENOTEMPTY: ['NOT_EMPTY', 'Directory not empty'],
  ENOSPC: ['NO_SPACE', 'No space left on device'],
  EDQUOT: ['NO_SPACE', 'Disk quota exceeded'],
  EROFS: ['READ_ONLY', 'Read-only file system'],
  ELOOP: ['SYMLINK_LOOP', 'Too many levels of symbolic links'],
  ENAMETOOLONG: ['NAME_TOO_LONG', 'File name too long'],
  // open(2): a FIFO or socket that nobody has at the other end; a device without a driver
  ENXIO: ['NOT_REGULAR', 'Not a regular file'],
  ENODEV: ['NOT_REGULAR', 'Not a regular file'],
  EXDEV: ['CROSS_DEVICE', 'Invalid cross-device link'],
  EINVAL: ['INVALID', 'Invalid argument'],
  EFBIG: ['INVALID', 'File too large'],
  ENOSYS: ['UNSUPPORTED', 'Function not implemented'],
  ENOTSUP: ['UNSUPPORTED', 'Operation not supported'],
  EOPNOTSUPP: ['UNSUPPORTED', 'Operation not supported'],
  ETXTBSY: ['FAILURE', 'Text file busy'],
  EBUSY: ['FAILURE', 'Device or resource busy'],
  EMFILE: ['FAILURE', 'Too many open files'],
  ENFILE: ['FAILURE', 'Too many open files'],
  EMLINK: ['FAILURE', 'Too many links'],
  EIO: ['FAILURE', 'Input/output error'],
}

export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}

export function fromErrno(thrown: unknown): FileError {
  if (thrown instanceof FileError) return thrown
  const errno = errnoOf(thrown)
  const [code, text] = (errno === undefined ? undefined : ERRNO[errno]) ?? ['FAILURE', errno === undefined ? 'Failure' : `Failure (${errno})`]
  return new FileError(code, text, { cause: thrown })
}
