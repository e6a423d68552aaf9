/**
 * The shell lines that do what the exec API of Kubernetes cannot: environment, directory, saying that the program runs,
 * and signals. POSIX sh; tried with dash, bash and busybox ash.
 */

/** The environment variable that marks every process of one exec; a process that wipes its environment is not found by it. */
export const SESSION_VARIABLE = 'DOCKIN_SESSION'

/** What the wrapper writes to stdout before the program starts: the mark, a word, a semicolon. */
export const MARK_WORDS = { runs: 'runs', notFound: 'notfound', notExecutable: 'notexec', noDirectory: 'nodir' } as const
const WORD_BYTES = 16

/** $1 mark, $2 directory or empty, then NAME=value words up to --, then the program and its arguments. */
const START = [
  'm=$1 d=$2; shift 2',
  'while [ "$1" != -- ]; do export "$1"; shift; done; shift',
  'say() { printf "%s%s;" "$m" "$1"; }',
  `if [ -n "$d" ]; then cd "$d" 2>/dev/null || { say ${MARK_WORDS.noDirectory}; exit 126; }; fi`,
  // Shells differ in what `command -v` says about a path, so paths are looked at here.
  'case $1 in',
  `*/*) if [ ! -e "$1" ]; then say ${MARK_WORDS.notFound}; exit 127; elif [ -d "$1" ] || [ ! -x "$1" ]; then say ${MARK_WORDS.notExecutable}; exit 126; fi ;;`,
  `*) command -v "$1" >/dev/null 2>&1 || { say ${MARK_WORDS.notFound}; exit 127; } ;;`,
  'esac',
  `say ${MARK_WORDS.runs}; unset m d; unset -f say; exec "$@"`,
].join('\n')

/**
 * `round SIGNAL...` sends the signals to all that bear the mark, and fails when there are none. Where there is no
 * grep that knows -z the shell reads for itself, a system call a byte; `read` drops the NUL bytes between variables.
 */
const ROUND = [
  'k=$1; shift; g=; printf "a\\0b\\0" | grep -zqxF -e b 2>/dev/null && g=y',
  'marked() { while IFS= read -r l || [ -n "$l" ]; do case $l in *"$k"*) return 0 ;; esac; done <"$1"; return 1; }',
  'bearers() { if [ -n "$g" ]; then grep -lszxF -e "$k" /proc/[0-9]*/environ; else for e in /proc/[0-9]*/environ; do marked "$e" && echo "$e"; done; fi; }',
  `round() { n=1; for e in $(bearers); do n=0; p=\${e#/proc/}; for s; do kill -s "$s" "\${p%/environ}"; done; done; return $n; }`,
].join('\n')

const SIGNAL = `${ROUND}\nround "$@" 2>/dev/null\nexit 0`

/** HUP for shells, TERM for the rest, CONT for the stopped; KILL for what still lives after about a second. Exit 0: none is left. */
const SWEEP = [
  ROUND,
  'exec 2>/dev/null',
  'round HUP TERM CONT || exit 0',
  'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1 || sleep 1; round || exit 0; done',
  'for i in 1 2 3; do round KILL || exit 0; sleep 0.1 || sleep 1; done',
  'round KILL || exit 0; exit 1',
].join('\n')

export interface WrappedExec {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** @param session random letters and digits, the same for wrapper and sweep */
export function wrapExec(session: string, exec: WrappedExec): string[] {
  const env = Object.entries({ ...exec.env, [SESSION_VARIABLE]: session }).map(([name, value]) => `${name}=${value}`)
  return ['sh', '-c', START, 'sh', startMark(session), exec.cwd ?? '', ...env, '--', ...exec.argv]
}

/** Whether `sh` can export it. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
}

/** @param signal name without SIG */
export function signalExec(session: string, signal: string): string[] {
  return ['sh', '-c', SIGNAL, 'sh', `${SESSION_VARIABLE}=${session}`, signal]
}

export function sweepExec(session: string): string[] {
  return ['sh', '-c', SWEEP, 'sh', `${SESSION_VARIABLE}=${session}`]
}

function startMark(session: string): string {
  return `dockin-${session}-`
}

/**
 * Looks for the wrapper's word at the start of the output.
 * @returns the word and the bytes it took; `more` when the output so far may still become it; `none` when it cannot
 */
export function findMark(session: string, head: Buffer): { readonly word: string; readonly bytes: number } | 'more' | 'none' {
  const mark = startMark(session)
  const text = head.toString('latin1', 0, mark.length + WORD_BYTES)
  if (!text.startsWith(mark.slice(0, text.length))) return 'none'
  const end = text.indexOf(';', mark.length)
  if (end >= 0) return { word: text.slice(mark.length, end), bytes: end + 1 }
  return text.length < mark.length + WORD_BYTES ? 'more' : 'none'
}
