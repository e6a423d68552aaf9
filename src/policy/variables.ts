/**
 * Variables whose value the shell or a program runs, or takes programs from. Assigning one is denied under every rule,
 * whether by `a=b`, `export`, `read`, `printf -v`, a loop or `env`.
 */

const DANGEROUS: readonly RegExp[] = [
  // The shell itself.
  /^(?:PATH|IFS|ENV|PS\d|PROMPT_.*|BASH.*|SHELL|SHELLOPTS|POSIXLY_CORRECT|HOME|PWD|OLDPWD|CDPATH|EXECIGNORE|FUNCNEST|HISTFILE|INPUTRC|MAIL|MAILPATH|MAILCHECK|FPATH|ZDOTDIR|FCEDIT|COMP_.*|READLINE_.*)$/,
  // The loader and language runtimes.
  /^(?:LD_|DYLD_|GLIBC_|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_|PERL|PYTHON|RUBY|GEM_|BUNDLE_|NODE_(?:OPTIONS|PATH|REPL)|NPM_|LUA|TCL|PHP|JAVA_(?:TOOL_|HOME)|_JAVA_|JDK_|CLASSPATH|AWKPATH|AWKLIBPATH|GUILE|R_PROFILE|R_ENVIRON|OPENSSL_)/,
  // Programs that programs start: editors, pagers, filters, remote shells.
  /^(?:EDITOR|VISUAL|.*_EDITOR|.*PAGER|BROWSER|LESS.*|MORE|MANROFF.*|MANOPT|GIT_.*|SSH_ASKPASS.*|SUDO_.*|.*_RSH|RSYNC_.*|TAR_OPTIONS|TAPE|TMOUT_CMD|MAKEFLAGS|MAKEFILES|GNUMAKEFLAGS|PSQLRC|SCREENRC|MYVIMRC|EXINIT|VIMINIT|GVIMINIT|TERMINFO.*|TERMCAP|XDG_CONFIG.*|XDG_DATA.*|ZIPOPT|UNZIP|GZIP|XZ_OPT|XZ_DEFAULTS|BZIP2?|ZSTD_.*|UNZIPOPT|GREP_OPTIONS|WGETRC|CURL_HOME|KUBE_.*|APT_CONFIG|DPKG_.*|DEB_.*|RIPGREP_CONFIG_PATH|NMAPDIR|CURL_.*|NETRC|SSH_SK_PROVIDER|.*_CONFIG_FILE|RCLONE_.*|SCREENDIR|TMUX.*|FZF_.*|DOCKER_CONFIG|HELM_.*|TELNETRC|FTPMODE|.*_ASKPASS|.*_PRELOAD|.*_MODULES|.*_PLUGIN_PATH|.*_PLUGINS|SASL_PATH|KRB5_.*|MYSQL_HOME|PGSERVICEFILE|PGSYSCONFDIR|ODBC.*|SYSTEMD_(?:EDITOR|PAGER.*)|OPENSSL.*)$/,
]
/** Values under which a dangerous variable is harmless: `PAGER=cat`, what the guarded shell sets itself. */
const HARMLESS_VALUES: Readonly<Record<string, RegExp>> = {
  PAGER: /^cat$/,
  GIT_PAGER: /^cat$/,
  MANPAGER: /^cat$/,
  SYSTEMD_PAGER: /^(?:cat)?$/,
  SYSTEMD_LESS: /^[A-Z]*$/,
  LESSSECURE: /^1$/,
  GZIP: /^-[1-9]$/,
  XZ_OPT: /^-[0-9]e?$/,
  GIT_TERMINAL_PROMPT: /^0$/,
}
/** A charset other than UTF-8 lets bash pair the bytes of a line otherwise than we read them. */
const LOCALE = /^(?:LANG|LC_.*|LANGUAGE)$/
const SAFE_LOCALE = /^(?:|C|POSIX|(?:C|[a-z]{2,3}_[A-Z]{2})\.(?:UTF-8|utf-?8))$/

const NAME = /^[A-Za-z_]\w*$/

/** True for a text that is a variable's name and nothing more: no subscript, in which `$(..)` would run. */
export function isName(text: string): boolean {
  return NAME.test(text)
}

/**
 * Why `name` may not get `value`; undefined when it may.
 * @param value undefined when only the shell knows it
 */
export function refuseAssignment(name: string, value: string | undefined): string | undefined {
  if (LOCALE.test(name)) return value !== undefined && SAFE_LOCALE.test(value) ? undefined : `${name} may only name C or a UTF-8 locale`
  if (!DANGEROUS.some((pattern) => pattern.test(name))) return undefined
  const harmless = Object.hasOwn(HARMLESS_VALUES, name) ? HARMLESS_VALUES[name] : undefined
  return value !== undefined && harmless?.test(value) ? undefined : `${name} may not be set, because a shell or a program takes commands from it`
}

/** Names under which scripts look for the tools that they start: `xzgrep` runs $GREP, `tzselect` $AWK. Harmless while the shell keeps them to itself. */
const TOOLS =
  /^(?:[EFZ]?GREP|DIFF|CMP|AWK|SED|TAR|CC|CXX|CPP|LD|AR|MAKE|RSH|FTP|SSH|SCP|SORT|LESSKEY|MORE|TROFF|GROFF_.*|NROFF|PIC|TBL|EQN|UCF_.*|DEBCONF_.*|DEBIAN_HAS_FRONTEND|HELP2MAN|EGREP_.*)$/
/** Why `name` may not go into the environment of a program; undefined when it may. What else may not, may not be set at all. */
export function refuseExport(name: string): string | undefined {
  return TOOLS.test(name) ? `${name} may not be exported, because scripts start what it names` : undefined
}
