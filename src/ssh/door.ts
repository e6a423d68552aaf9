/** Which door an exec request knocks at. Pure; the strict doors take only lines whose words need no shell to know. */

export interface ExecDoor {
  readonly door: 'exec' | 'scp' | 'rsync'
  /** The words of the line as a shell would make them; absent for `exec`, where a shell (or the analyser) reads the line. */
  readonly words?: readonly string[]
}

/**
 * `scp` for what an scp client asks of its peer (`scp [-vrpdq] -t|-f [--] PATH`), `rsync` for `rsync --server …`,
 * each only when the line is plain words: nothing in it that a shell would act on. Everything else is `exec`.
 */
export function classifyExec(command: string): ExecDoor {
  const words = plainWords(command)
  if (!words) return { door: 'exec' }
  const texts = words.map((word) => word.text)
  if (isScp(texts) && words.slice(0, -1).every((word) => !word.pattern)) return { door: 'scp', words: texts }
  if (texts[0] === 'rsync' && texts[1] === '--server' && words.every((word) => !word.pattern)) return { door: 'rsync', words: texts }
  return { door: 'exec' }
}

/** One path at the end, exactly one direction; flags as OpenSSH, PuTTY and paramiko's scp send them. */
function isScp([name, ...rest]: readonly string[]): boolean {
  if (name !== 'scp') return false
  const path = rest.pop()
  const dashes = rest.at(-1) === '--'
  if (dashes) rest.pop()
  if (!path || (path.startsWith('-') && !dashes)) return false
  if (!rest.every((flag) => /^-[vrpdqtf]+$/.test(flag))) return false
  return rest.join('').replace(/[^tf]/g, '').length === 1
}

interface PlainWord {
  readonly text: string
  /** Holds an unquoted `*`, `?`, `[`, `]` or `~`: scp clients leave these to the far side. */
  readonly pattern: boolean
}

/** One piece of a word: plain characters, a pattern character, 'quoted', or an escaped character. */
const PIECE = /(?<plain>[\p{L}\p{N}_@%+=:,./^-]+)|(?<pattern>[*?[\]~])|'(?<quoted>[^'\p{Cc}]*)'|\\(?<escaped>[^\p{Cc}])/uy
const BLANKS = /[ \t]*/y

/**
 * Splits a line as `sh` would, or answers undefined as soon as it meets anything but plain characters, single quotes,
 * backslashes and blanks: no variables, substitutions, operators, redirections, comments, braces, double quotes, controls.
 */
export function plainWords(line: string): readonly PlainWord[] | undefined {
  const words: PlainWord[] = []
  let at = skip(line, 0)
  while (at < line.length) {
    let text = ''
    let pattern = false
    const start = at
    for (let piece = pieceAt(line, at); piece; piece = pieceAt(line, at)) {
      const { plain, pattern: glob, quoted, escaped } = piece.groups ?? {}
      text += plain ?? glob ?? quoted ?? escaped ?? ''
      pattern ||= glob !== undefined
      at += piece[0].length
    }
    if (at === start) return undefined
    words.push({ text, pattern })
    const next = skip(line, at)
    if (next === at && at < line.length) return undefined
    at = next
  }
  return words
}

function pieceAt(line: string, at: number): RegExpExecArray | null {
  PIECE.lastIndex = at
  return PIECE.exec(line)
}

function skip(line: string, at: number): number {
  BLANKS.lastIndex = at
  BLANKS.test(line)
  return Math.max(at, BLANKS.lastIndex)
}
