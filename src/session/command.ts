/** What is started in the container for a shell or an exec. */
import { CLEAN_PATH, environmentWords } from '../core/clean-environment.js'
import type { PtyRequest } from '../core/types.js'
import { sttyArguments } from './tty-modes.js'

/** A plain shell: bash where the image has it, else its sh; as a login shell, with the client's terminal modes. */
export function shellArgv(pty: PtyRequest | undefined): readonly string[] {
  return ['/bin/sh', '-c', `${modes(pty)}command -v bash >/dev/null 2>&1 && exec bash -l; exec /bin/sh -l`]
}

/** An exec: the line belongs to the image's /bin/sh, as with sshd it belongs to the login shell. */
export function execArgv(line: string, pty: PtyRequest | undefined): readonly string[] {
  return pty ? ['/bin/sh', '-c', `${modes(pty)}exec /bin/sh -c "$1"`, 'sh', line] : ['/bin/sh', '-c', line]
}

/** By these an executor finds the processes of an exec again; without them, closing would leave some behind. */
const KEPT = ['DOCKIN_EXEC', 'DOCKIN_SESSION'].map((name) => `\${${name}+"${name}=$${name}"}`).join(' ')

/**
 * An exec whose line was vetted: the image's own variables could start programs that the line does not name, so it gets
 * `environment` and HOME, as a guarded shell does. An image without env(1) is refused.
 */
export function vettedArgv(line: string, environment: Readonly<Record<string, string>>, pty: PtyRequest | undefined): readonly string[] {
  const lacking = "echo 'dockin: refused: the image lacks env, without which a vetted line cannot be run in a clean environment' >&2; exit 254"
  const script = `PATH=${CLEAN_PATH}; ${modes(pty)}command -v env >/dev/null 2>&1 || { ${lacking}; }; h=$HOME; exec env -i HOME="\${h:-/}" ${KEPT} "$@"`
  return ['/bin/sh', '-c', script, 'sh', ...environmentWords(environment), '/bin/sh', '-c', line]
}

/**
 * The size is set here too: runtimes set it once the program runs, which is too late for a program that asks at once.
 * Images without stty keep the defaults.
 */
function modes(pty: PtyRequest | undefined): string {
  if (!pty) return ''
  const { columns, rows } = pty.size
  const changes = ['rows', String(rows), 'cols', String(columns), ...sttyArguments(pty.modes)]
  return `stty ${changes.map(quoted).join(' ')} 2>/dev/null; `
}

function quoted(word: string): string {
  return /^[\w-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/**
 * The words of a line that needs no shell: for images that have none, where a program can still be run.
 * @returns undefined when the line holds anything that a shell would have to interpret
 */
export function plainWords(line: string): readonly string[] | undefined {
  const words = line.trim().split(/[ \t]+/)
  const isPlain = words.every((word) => /^[\w@%+=:,./-]+$/.test(word))
  // `a=b` in front would be an assignment
  return isPlain && words[0] !== '' && !words[0]?.includes('=') ? words : undefined
}
