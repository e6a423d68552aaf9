/** What docker says when a program could not be started -> what that means. */
import { type ErrorCode, OpsError } from '../src/core/errors.js'
import { escapePeerText } from '../src/core/log.js'

/** First match wins. The texts are runc's and dockerd's (seen on runc 1.1.5, dockerd 20.10). */
const MEANING: readonly (readonly [RegExp, ErrorCode])[] = [
  [/chdir to cwd/i, 'BAD_REQUEST'],
  [/unable to find user|no matching entries in (passwd|group)/i, 'BAD_REQUEST'],
  [/executable file not found|no such file or directory|not found in \$PATH/i, 'COMMAND_NOT_FOUND'],
  [/permission denied|exec format error|is a directory|not a directory/i, 'COMMAND_NOT_EXECUTABLE'],
  [/cannot exec in a stopped|container .* is not running|has stopped|is paused|container not running/i, 'TARGET_NOT_RUNNING'],
]

/** @param text what docker wrote in place of output */
export function startFailure(argv: readonly string[], cwd: string | undefined, text: string): OpsError {
  const said = escapePeerText(text.trim())
  const code = MEANING.find(([pattern]) => pattern.test(text))?.[1] ?? 'COMMAND_NOT_EXECUTABLE'
  const message = `Cannot start ${JSON.stringify(argv[0])}: ${said}`
  if (code === 'COMMAND_NOT_FOUND' || code === 'COMMAND_NOT_EXECUTABLE') return new OpsError(code, message, { detail: escapePeerText(argv[0] ?? '') })
  if (code === 'BAD_REQUEST' && cwd !== undefined) return new OpsError(code, message, { detail: `no such directory: ${escapePeerText(cwd)}` })
  return new OpsError(code, message)
}
