/** Environment variables that a client of the API may set: those of the SSH door, and nothing that steers a program. */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'

const ALLOWED = /^(LANG|LC_[A-Z]{1,32}|TZ|COLORTERM)$/
const MAX_VARIABLES = 32
const MAX_VALUE_CHARS = 256

/** An ssh client sends what it has and goes on; a program that asks by name is told. @throws OpsError BAD_REQUEST */
export function allowedEnv(env: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const entries = Object.entries(env)
  if (entries.length > MAX_VARIABLES) throw bad(`at most ${MAX_VARIABLES} environment variables`)
  for (const [name, value] of entries) {
    if (!ALLOWED.test(name)) throw bad(`environment variable "${escapePeerText(name, 64)}" may not be set; LANG, LC_*, TZ and COLORTERM may`)
    if (value.length > MAX_VALUE_CHARS || /\p{Cc}/u.test(value)) throw bad(`the value of ${name} is too long or holds control characters`)
  }
  return Object.fromEntries(entries)
}

function bad(detail: string): OpsError {
  return new OpsError('BAD_REQUEST', `exec refused: ${detail}`, { detail })
}
