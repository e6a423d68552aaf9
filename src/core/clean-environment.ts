/**
 * The environment in which vetted lines run: one table for guarded shells and exec lines. A variable can start programs
 * that no line names (PAGER, GIT_CONFIG_*, LD_PRELOAD, BASH_ENV), so nothing is taken over but what is listed here.
 */

/** Where programs are looked for; the policy's tables hold for these folders only. */
export const CLEAN_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const FIXED: Readonly<Record<string, string>> = {
  PATH: CLEAN_PATH,
  SHELL: '/bin/false',
  LESSSECURE: '1',
  PAGER: 'cat',
  MANPAGER: 'cat',
  GIT_PAGER: 'cat',
  EDITOR: '/bin/false',
  VISUAL: '/bin/false',
  HISTFILE: '',
  INPUTRC: '/dev/null',
  // A repository's own settings name programs that `git status` runs; these come after them (git-config, GIT_CONFIG_COUNT).
  GIT_CONFIG_COUNT: '5',
  GIT_CONFIG_KEY_0: 'core.fsmonitor',
  GIT_CONFIG_VALUE_0: 'false',
  GIT_CONFIG_KEY_1: 'core.hooksPath',
  GIT_CONFIG_VALUE_1: '/dev/null',
  GIT_CONFIG_KEY_2: 'core.alternateRefsCommand',
  GIT_CONFIG_VALUE_2: 'true',
  GIT_CONFIG_KEY_3: 'protocol.ext.allow',
  GIT_CONFIG_VALUE_3: 'never',
  GIT_CONFIG_KEY_4: 'safe.bareRepository',
  GIT_CONFIG_VALUE_4: 'explicit',
}

/** Encodings in which a byte of one character is never taken for another: what was vetted is what the shell reads. In GBK a shell takes the backslash of "中\\;" for a part of the character. */
const SAFE_LOCALE = /^(C|POSIX|(C|[a-z]{2,3}_[A-Z]{2})\.(UTF-8|utf-?8))$/
/** A name of the time zone database; POSIX' ":path" form would open files. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z][A-Za-z0-9_+-]*){0,2}$/
/** What a client may set, and to what. */
const ASKED: readonly (readonly [name: RegExp, value: RegExp])[] = [
  [/^TZ$/, ZONE_NAME],
  [/^COLORTERM$/, /^[\w-]{1,32}$/],
  [/^(LANG|LC_[A-Z]+)$/, SAFE_LOCALE],
]
const TERM_NAME = /^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$/

/**
 * Ours, and of what the client asked for (SSH `env` requests) what is harmless.
 * @param term of the client's terminal; undefined when it has none: then TERM is not set
 */
export function cleanEnvironment(asked: Readonly<Record<string, string>>, term: string | undefined): Readonly<Record<string, string>> {
  const harmless = Object.entries(asked).filter(([name, value]) => ASKED.some(([names, values]) => names.test(name) && values.test(value)))
  return {
    ...Object.fromEntries(harmless),
    ...(term !== undefined && { TERM: TERM_NAME.test(term) ? term : 'dumb' }),
    ...FIXED,
  }
}

/** `NAME=value` words, as env(1) takes them. */
export function environmentWords(environment: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`)
}
