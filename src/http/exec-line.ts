/** Words into the one shell line that means them: what is judged, what is logged and what runs are the same text. */

/** Characters that no POSIX shell acts on, wherever they stand in a word. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]+$/
/** Plain in every word but the first, where it would be an assignment. */
const PLAIN_ARGUMENT = /^[A-Za-z0-9_@%+=:,./-]+$/
/** What a shell reads as grammar where a command's name would stand (POSIX XCU 2.4, and bash's own). */
const RESERVED: ReadonlySet<string> = new Set('! { } [[ ]] case coproc do done elif else esac fi for function if in select then time until while'.split(' '))

/** `['ls', 'a b']` -> `ls 'a b'`. The words hold no NUL. */
export function lineOf(argv: readonly string[]): string {
  return argv.map((word, i) => (isPlain(word, i === 0) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ')
}

function isPlain(word: string, isName: boolean): boolean {
  return isName ? PLAIN.test(word) && !RESERVED.has(word) : PLAIN_ARGUMENT.test(word)
}

/** Names under which images have the shells that people open terminals with. */
const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'ash', 'dash', 'zsh', 'ksh'])
const SHELL_FLAGS = /^(-[il]{1,2}|--login)$/

/** Whether `argv` asks for nothing but an interactive shell: with a terminal that is the same as asking for a shell. */
export function isShellRequest(argv: readonly string[]): boolean {
  const [program, ...flags] = argv
  if (program === undefined) return true
  const name = program.replace(/^(\/usr)?(\/local)?\/bin\//, '')
  return SHELLS.has(name) && flags.every((flag) => SHELL_FLAGS.test(flag))
}
