/**
 * The one shell script behind files over exec. POSIX sh with `stat -c`, `dd`, `mkdir`, `mv`, …; tried with dash, bash and
 * busybox ash. It is fixed text: paths and numbers come as lines that `read` takes, never as code.
 *
 * A request is a line `MARK ID OPERATION COUNT`, then COUNT lines of one argument each: "=" and the bytes, or "%" and
 * escapes of `printf %b`. The content of a write follows. An answer is content, then `MARK ID STATUS` and a line end; what
 * the tools say is part of the content. The mark is random, so what is in a file is never taken for a request.
 */

/** Paths that need no escapes: all shells `read` these bytes alike. */
const PLAIN = /^[A-Za-z0-9_.,:@+=/-]*$/
/** Tools that all operations together need; the script says which are absent. */
const TOOLS = 'stat dd mkdir rmdir rm mv ln readlink chmod chown touch'

/**
 * No operation blocks: content is only read and written after `-f`, so FIFOs and devices are never opened. Where a builtin
 * of the shell can do it no program is started, for that is what takes time. `!WORD` is an error in our own words.
 */
export const FILES_SCRIPT = [
  `m=$1; set --; export LC_ALL=C; unset CDPATH; PATH=\${PATH:-/bin}:/usr/bin:/bin:/usr/sbin:/sbin; u=$(umask); umask 0`,
  `miss=; for t in ${TOOLS}; do command -v $t >/dev/null 2>&1 || miss="$miss $t"; done`,
  'F="%f %u %g %s %X %Y %h"; fine=; case $(stat -c %.9Y / 2>/dev/null) in *[0-9].[0-9]*) fine=y; F="%f %u %g %s %.9X %.9Y %h" ;; esac',
  'bytes=; [ "$(printf abcd | dd bs=4 count=1 iflag=fullblock,skip_bytes skip=1 oflag=seek_bytes status=none 2>/dev/null)" = bcd ] && bytes=y',
  `case $HOME in /*) [ -d "$HOME" ] && h=$HOME ;; esac; : "\${h:=$(pwd)}"; cd /`,
  'no() { printf "!%s" "$1"; return 1; }',
  'there() { [ -e "$1" ] || [ -L "$1" ]; }',
  `up() { d=\${1%/*}; : "\${d:=/}"; }`,
  // why a path does not lead to something, in the words of errno
  'why() { stat -L -c "" "$1" >/dev/null; return 1; }',
  // dash says neither ENOENT nor ENOTDIR of a file that it cannot make
  'parent() { up "$1"; stat -L -c "" "$d/." >/dev/null; return 1; }',
  'same() { [ -z "$2" ] || [ "$(stat -L -c %d:%i "$1" 2>/dev/null)" = "$2" ] || no MOVED; }',
  'op_stat() { stat -L -c "$F" "$1"; }',
  'op_lstat() { stat -c "$F" "$1"; }',
  'op_readlink() { if [ -L "$1" ]; then readlink -n "$1"; else stat -c "" "$1" >/dev/null && no INVALID; fi; }',
  'op_realpath() { if [ -d "$1" ]; then cd -P "$1" 2>/dev/null && printf %s "$PWD" && return; elif [ ! -L "$1" ]; then',
  `up "$1"; case \${1##*/} in .|..|"") ;; *) cd -P "$d" 2>/dev/null && printf %s "\${PWD%/}/\${1##*/}" && return ;; esac; fi`,
  'readlink -fn "$1" 2>/dev/null || why "$1"; }',
  // all tools print a name after "./" and an end that no name can have
  'op_list() { [ -d "$1" ] || { stat -L -c "" "$1" >/dev/null && no NOT_DIRECTORY; return; }',
  '[ -r "$1" ] && cd -P "$1" 2>/dev/null || { no PERMISSION_DENIED; return; }',
  'if command -v find >/dev/null 2>&1; then find . -mindepth 1 -maxdepth 1 -exec stat -c "$F %n/" {} + 2>/dev/null; [ $? -le 1 ] && return; fi',
  'stat -c "$F %n/" ./* ./.[!.]* ./..?* 2>/dev/null; [ $? -lt 126 ] || no TOO_LONG; }',
  // path read write create truncate exclusive umask; what the shell opens it closes again, the path stands for the file
  'op_open() { if [ -d "$1" ]; then no IS_DIRECTORY; return; fi; new=0',
  'if there "$1"; then [ "$6" = 1 ] && { no EXISTS; return; }; if [ -e "$1" ]; then [ -f "$1" ] || { no NOT_REGULAR; return; }; fi; fi',
  'if [ ! -e "$1" ]; then [ "$4" = 1 ] || { why "$1"; return; }; new=1; fi',
  'if [ $new = 1 ]; then umask $7; [ "$6" = 1 ] && set -C; { :; } 9>"$1"; s=$?; set +C; umask 0; [ $s = 0 ] || { parent "$1"; return; }',
  'elif [ "$5" = 1 ]; then { :; } 9>"$1" || return 1; elif [ "$3" = 1 ]; then { :; } 9>>"$1" || return 1; fi',
  'if [ "$2" = 1 ]; then { :; } 9<"$1" || return 1; fi',
  'printf "%s " $new; stat -L -c "%d:%i $F" "$1"; }',
  // path identity offset length
  'op_read() { [ -f "$1" ] && same "$1" "$2" || { there "$1" || no MOVED; return 1; }',
  'if [ $(($3 % $4)) = 0 ]; then dd if="$1" bs="$4" count=1 skip=$(($3 / $4)) iflag=fullblock status=none',
  'elif [ -n "$bytes" ]; then dd if="$1" bs="$4" count=1 skip="$3" iflag=fullblock,skip_bytes status=none',
  'else tail -c +$(($3 + 1)) "$1" | dd bs="$4" count=1 iflag=fullblock status=none; fi; }',
  // path identity offset length append; whatever happens, the content is taken off the input
  'op_write() { took=; s=1; if [ ! -f "$1" ]; then no MOVED; elif same "$1" "$2"; then',
  'if [ "$5" = 1 ]; then { took=y; dd bs="$4" count=1 iflag=fullblock status=none <&8; } >>"$1"; s=$?',
  'elif [ -n "$bytes" ]; then { took=y; dd bs="$4" count=1 iflag=fullblock oflag=seek_bytes seek="$3" conv=notrunc status=none <&8; } 1<>"$1"; s=$?',
  'elif [ $(($3 % $4)) = 0 ]; then { took=y; dd bs="$4" count=1 iflag=fullblock seek=$(($3 / $4)) conv=notrunc status=none <&8; } 1<>"$1"; s=$?',
  'elif [ "$(stat -L -c %s "$1")" = "$3" ]; then { took=y; dd bs="$4" count=1 iflag=fullblock status=none <&8; } >>"$1"; s=$?; else no UNSUPPORTED; fi; fi',
  '[ -n "$took" ] || dd bs="$4" count=1 iflag=fullblock of=/dev/null <&8 2>/dev/null; return $s; }',
  'op_sync() { same "$1" "$2" && dd if=/dev/null of="$1" conv=notrunc,fsync count=0 status=none; }',
  'op_same() { same "$1" "$2"; }',
  'op_mkdir() { mkdir -m "$2" "$1"; }',
  'op_rmdir() { if [ -L "$1" ]; then no NOT_DIRECTORY; else rmdir "$1"; fi; }',
  'op_remove() { if [ -L "$1" ]; then rm -f "$1"; elif [ -d "$1" ]; then no IS_DIRECTORY; elif [ -e "$1" ]; then rm -f "$1"; else why "$1"; fi; }',
  // from to replace; mv itself would move into a directory, and copy to another file system
  'op_rename() { there "$1" || { why "$1"; return; }; if there "$2"; then [ "$3" = 1 ] || { no EXISTS; return; }; [ "$1" = "$2" ] && return 0; fi',
  `a=\${1%/*} b=\${2%/*}; if [ "$a" != "$b" ]; then a=$(stat -L -c %d "\${a:-/}") && b=$(stat -L -c %d "\${b:-/}") || { why "\${2%/*}"; return; }`,
  '[ "$a" = "$b" ] || { no CROSS_DEVICE; return; }; fi',
  'if [ -d "$2" ]; then if [ -L "$2" ]; then [ -d "$1" ] && [ ! -L "$1" ] && { no NOT_DIRECTORY; return; }; mv -fT "$1" "$2" 2>/dev/null && return; rm -f "$2" || return',
  'elif [ -L "$1" ] || [ ! -d "$1" ]; then no IS_DIRECTORY; return; else rmdir "$2" || return; fi',
  'elif [ -d "$1" ] && [ ! -L "$1" ] && there "$2"; then no NOT_DIRECTORY; return; fi; mv -f "$1" "$2"; }',
  'op_symlink() { if there "$2"; then no EXISTS; else ln -s -- "$1" "$2"; fi; }',
  'op_link() { if there "$2"; then no EXISTS; elif [ -d "$1" ] && [ ! -L "$1" ]; then no PERMISSION_DENIED; else ln "$1" "$2"; fi; }',
  // path follow size owner mode atime mtime, each may be empty
  'op_set() { n=; if [ "$2" = 1 ]; then [ -e "$1" ] || { why "$1"; return; }; else there "$1" || { why "$1"; return; }; [ -L "$1" ] && n=-h; fi',
  'if [ -n "$n" ] && [ -n "$3$5" ]; then no UNSUPPORTED; return; fi',
  'if [ -n "$3" ]; then if [ -f "$1" ]; then truncate -c -s "$3" "$1" || return; elif [ -d "$1" ]; then no IS_DIRECTORY; return; else no INVALID; return; fi; fi',
  'if [ -n "$4" ]; then chown $n "$4" "$1" || return; fi',
  'if [ -n "$5" ]; then chmod "$5" "$1" || return; fi',
  'if [ -n "$6" ]; then if [ "$6" = "$7" ]; then touch -c $n -d "@$6" "$1"; else touch -c $n -a -d "@$6" "$1" && touch -c $n -m -d "@$7" "$1"; fi; fi; }',
  'op_statfs() { stat -f -c "%s %S %b %f %a %c %d %l" "$1"; }',
  'printf "%s|%s|%s|%s" "$miss" "$fine" "$u" "$h"; printf "%s 0 0\\n" "$m"',
  'exec 8<&0 </dev/null 2>&1',
  'while IFS=" " read -r k id op n <&8; do [ "$k" = "$m" ] || exit 1; set --',
  'while [ "$n" -gt 0 ]; do n=$((n - 1)); IFS= read -r a <&8 || exit 1',
  `case $a in %*) a=$(printf "%b." "\${a#%}"); a=\${a%.} ;; *) a=\${a#=} ;; esac; set -- "$@" "$a"; done`,
  '"op_$op" "$@"; s=$?; cd /; printf "%s %s %s\\n" "$m" "$id" "$s"; done',
].join('\n')

/** The bytes of one request, without the content of a write. */
export function requestLines(mark: string, id: number, operation: string, args: readonly (Buffer | string | number)[]): Buffer {
  return Buffer.from([`${mark} ${id} ${operation} ${args.length}`, ...args.map(argumentLine), ''].join('\n'), 'latin1')
}

function argumentLine(argument: Buffer | string | number): string {
  const text = Buffer.isBuffer(argument) ? argument.toString('latin1') : String(argument)
  if (PLAIN.test(text)) return `=${text}`
  return `%${[...text].map((c) => (PLAIN.test(c) ? c : `\\0${c.charCodeAt(0).toString(8).padStart(3, '0')}`)).join('')}`
}
