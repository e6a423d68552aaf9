/**
 * The lines that go down the command pipe, and what the marks they print say.
 * Everything here must mean the same in bash, dash and busybox ash, and must survive what a user may have set:
 * aliases and functions (`\command`), IFS (quotes), set -euC.
 */
import { randomInt } from 'node:crypto'
import { NONCE_DIGITS } from './marks.js'

/** Printed and compared as it is: shows that the terminal's output processing (`stty olcuc`, `tab3`) changes no letters and tabs. */
const CANARY = 'aZ\t'
/** Last field of a drain that came to its end and was not interrupted. */
export const DRAINED = 'drained'
/** Lines that a drain reads at most; the terminal's queue holds 4096 bytes, and more may be on its way. */
const MAX_DRAIN_LINES = 8192

/** Fresh decimal digits that nobody can guess. */
export function makeNonce(): string {
  let digits = ''
  while (digits.length < NONCE_DIGITS) digits += String(randomInt(10 ** 8)).padStart(8, '0')
  return digits.slice(0, NONCE_DIGITS)
}

/** `text` as one word of a POSIX shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/**
 * While a shell reads a line, SIGINT makes it drop what it has read and take the rest for a line of its own: the tail
 * of a quoted word would become source, and a background `kill -INT $$` can time it (seen in bash 5.2, dash 0.5.12 and
 * busybox 1.35). So it is ignored from before each mark is complete until the user's line runs, and lines are only sent
 * to a shell that has answered; Ctrl-C works in between, and programs start with the default.
 */
const SHIELD = "\\trap '' INT"
const UNSHIELD = '\\trap - INT'
/** The same without quotes; here dash and ash keep the line they read, and bash loses all of it. */
const FIRST_SHIELD = '\\trap : INT'

/** Prints the mark that says: the line was read to its end, and runs now. */
const begin = (nonce: string, tty: string) => `\\command printf '\\033]7777;${nonce};;${nonce}\\007' >${tty}`

/** Of the two marks at the end of a line. */
export interface MarkNonces {
  readonly status: string
  readonly end: string
}

/**
 * Prints two marks: the exit status first, because a Ctrl-C may still end the line behind it; then, shielded, a canary,
 * what `collect` put together, and the shell's directory. Each with one write, so that no other program's output gets in.
 * The directory is $PWD only when that really is the directory: the path rules of a policy stand on it.
 * @param collect adds fields to $a (`addField`), in a subshell
 */
function mark({ status, end }: MarkNonces, tty: string, collect?: string): string {
  const first = `\\command printf '\\033]7777;${status};%s;${status}\\007' "$?"`
  const print = (fields: string, directory: string) =>
    `\\command printf '\\033]7777;${end};${CANARY}%s;${end};%s:%s;${end}\\007' "${fields}" "\${#${directory}}" "$${directory}"`
  const here = '[ . -ef "$PWD" ]'
  const real = 'd=$(\\command pwd -P 2>/dev/null) || :'
  const plain = `if ${here}; then ${print('', 'PWD')}; else (${real}; ${print('', 'd')}); fi`
  // A subshell that a Ctrl-C ended has printed nothing: then say so, or nobody would know.
  const nothing = `\\command printf '\\033]7777;${end};;${end}\\007'`
  const collected = `(a=; ${collect}; if ${here}; then d=$PWD; else ${real}; fi; ${print('$a', 'd')}) || ${nothing}`
  return `{ ${first}; ${SHIELD}; ${collect === undefined ? plain : collected}; } >${tty}`
}

/** Adds $d as a field, with its length. */
const addField = ({ end }: MarkNonces) => `a="$a;${end};\${#d}:$d"`
/** Adds what `command` prints. */
const addOutput = (nonces: MarkNonces, command: string) => `d=$(${command} 2>/dev/null) || :; ${addField(nonces)}`

export interface RunNonces extends MarkNonces {
  readonly begin: string
}

/** Makes `$?` what the last line left, for a line that may look at it. */
function withStatus(status: number, command: string): string {
  return status === 0 ? command : `(exit ${status}) || ${command}`
}

/** Lines that may look at the last status; for others the subshell that sets it is saved. */
const READS_STATUS = /[?]|exit|return/

/**
 * The vetted line. Input and errors are the terminal for as long as it runs: `exec <file` and `exec 2>/dev/null` inside
 * of it end with it, so neither the pipe nor the prompt can be taken away.
 */
export function commitLine(line: string, nonces: RunNonces, tty: string, lastStatus: number): string {
  const run = `eval ${quote(line)} <>${tty} 2<>${tty}`
  return framed(READS_STATUS.test(line) ? withStatus(lastStatus, run) : run, nonces, tty)
}

/** What Ctrl-D on an empty line sends. A shell with stopped jobs refuses once, and then marks. */
export function exitLine(nonces: RunNonces, tty: string, lastStatus: number): string {
  return framed(withStatus(lastStatus, `eval exit <>${tty} 2<>${tty}`), nonces, tty)
}

function framed(run: string, nonces: RunNonces, tty: string): string {
  return `${begin(nonces.begin, tty)}; ${UNSHIELD}; ${run}; ${mark(nonces, tty)}\n`
}

/**
 * Says that the shell is there and shields it, after a line that was interrupted and printed no mark. Without a quote in
 * it: the shell is not shielded while it reads this, and a tail with half of a pair of quotes would swallow what follows.
 */
export function knockLine({ status, end }: MarkNonces): string {
  const print = (nonce: string, payload: string) => `\\command printf \\\\033]7777\\;${nonce}\\;${payload}\\;${nonce}\\\\007 >/dev/tty`
  return `${print(status, '$?')};${FIRST_SHIELD};${print(end, '')}\n`
}

/** Asks where the shell stands; only for a shell that has answered a knock. */
export function queryLine(nonces: MarkNonces, tty: string): string {
  return `${mark(nonces, tty)}\n`
}

/**
 * Reads what is left in the terminal's queue, up to the line that ends in `sentinel`, which the caller writes to the
 * terminal: what was sent to it before is then certainly read. One field of the mark for each line.
 * Echo is off meanwhile: bytes that are still on their way would be echoed into the mark.
 */
export function drainLine(nonces: MarkNonces, sentinel: string, tty: string, settings: string | undefined): string {
  const stty = (more: string) => (settings === undefined ? ':' : `stty ${settings}${more} <${tty} 2>/dev/null || :`)
  const add = addField(nonces)
  const read =
    `${UNSHIELD}; n=0; while [ "$n" -lt ${MAX_DRAIN_LINES} ]; do n=$((n+1)); IFS= read -r d || { [ -n "$d" ] || continue; }; ` +
    `case $d in *${sentinel}) d=\${d%${sentinel}}; ${add}; d=${DRAINED}; ${add}; break;; esac; ${add}; done <${tty}`
  return `${stty(' -echo')}; ${mark(nonces, tty, read)}; ${stty('')}\n`
}

/** First line of all: prompt, no history of the shell's own. Answers the version of bash, or nothing in another shell. */
export function initLine(nonces: MarkNonces, promptNonce: string): string {
  const prompt = `PS1='\x1b]7777;${promptNonce}\x07' PS2=`
  const bash = 'if [ -n "$BASH_VERSION" ]; then set +H +o history; unset PROMPT_COMMAND MAILCHECK; readonly PS1 PS2; fi'
  const home = 'if [ -n "$DOCKIN_CWD" ]; then \\command cd "$DOCKIN_CWD"; unset DOCKIN_CWD OLDPWD; fi'
  return `${prompt}; ${bash}; ${home}; ${mark(nonces, '/dev/tty', `d=$BASH_VERSION; ${addField(nonces)}`)}\n`
}

/** After the first mark, while the user types: removes the FIFO's name; answers the terminal's settings and its name. */
export function settleLine(nonces: MarkNonces, fifoName: string): string {
  // Its own name shows in `tty`; where another user owns it, /dev/tty still opens.
  const name = 'f=$(readlink /proc/$$/fd/2) && [ -r "$f" ] && [ -w "$f" ] && echo "$f"'
  const collect = `${addOutput(nonces, 'stty -g </dev/tty')}; ${addOutput(nonces, name)}`
  // Mode 0 first: through /proc/<pid>/fd a FIFO can be opened for writing again, by anybody but root only as its mode allows.
  return `chmod 0 /dev/shm/${fifoName}/ash /tmp/${fifoName}/ash 2>/dev/null; rm -rf /dev/shm/${fifoName} /tmp/${fifoName} 2>/dev/null; ${mark(nonces, '/dev/tty', collect)}\n`
}

/** Puts the terminal's settings back, or answers them when `settings` is undefined. */
export function settingsLine(nonces: MarkNonces, tty: string, settings: string | undefined): string {
  if (settings === undefined) return `${mark(nonces, tty, addOutput(nonces, `stty -g <${tty}`))}\n`
  return `stty ${settings} <${tty} 2>/dev/null || :; ${mark(nonces, tty)}\n`
}

export interface MarkFacts {
  readonly status: number
  /** What was collected, in order. */
  readonly fields: readonly string[]
  /** Empty when the shell itself does not know: its directory was removed. */
  readonly cwd: string
}

/** Reads the payload of a status mark. */
export function readStatus(payload: Buffer | undefined): number | undefined {
  const digits = payload?.toString('latin1') ?? ''
  return /^\d{1,3}$/.test(digits) ? Number(digits) : undefined
}

/**
 * Reads the payload of an end mark. Undefined when a background program wrote into it or the terminal changes letters:
 * every field carries its length, in bytes (dash) or characters (bash, ash in UTF-8).
 */
export function readMark(payload: Buffer, nonce: string): Omit<MarkFacts, 'status'> | undefined {
  const [canary, ...rest] = payload.toString('utf8').split(`;${nonce};`)
  if (canary !== CANARY) return undefined
  const fields: string[] = []
  for (const part of rest) {
    const text = readField(part)
    if (text === undefined) return undefined
    fields.push(text)
  }
  const cwd = fields.pop()
  return cwd === undefined ? undefined : { fields, cwd }
}

function readField(part: string): string | undefined {
  const match = part.match(/^(\d+):([\s\S]*)$/)
  if (!match) return undefined
  // The terminal writes CR LF for a line feed (ONLCR).
  const text = (match[2] ?? '').replaceAll('\r\n', '\n')
  const length = Number(match[1])
  return length === Buffer.byteLength(text) || length === [...text].length ? text : undefined
}
