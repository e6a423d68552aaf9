/**
 * Programs that run other commands in ways no shell parser can follow. One row each; to add a program, add a row.
 * A program that is in no table runs nothing but itself: under a black list it passes.
 */
import { vetAwk } from './awk.js'
import type { Cause } from './findings.js'
import { mayBeOption, type OptionTable, readOptions } from './options.js'
import type { Call, Scope, Vet } from './scope.js'
import { vetSed } from './sed.js'
import { type Arg, constant } from './words.js'
import { WRITERS } from './writers.js'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** Programs whose work is to run something that the line does not show. */
const OPAQUE: ReadonlyMap<string, string> = new Map(
  Object.entries({
    'is an interpreter':
      'python perl ruby irb node nodejs deno bun php php-cgi lua luajit texlua tclsh wish expect guile m4 dc ed red make gmake bmake cmake ninja rake scons ant gradle mvn sbt ' +
      'Rscript R octave gnuplot jshell java jrunscript groovy scala kotlin erl escript iex elixir ocaml sbcl clisp racket pwsh ghc ghci runghc swift dotnet mono tcc ' +
      'cobc gawk-extension jjs rhino qjs nodejs-current zsh ksh ksh93 mksh lksh pdksh oksh csh tcsh fish rc es yash posh rbash rksh rzsh nash xonsh elvish nu hush-static sash zsh-static bash-static busybox-static ' +
      'sqlite sqlite3 mysql mariadb mysqlsh psql mongo mongosh clickhouse clickhouse-client clickhouse-local cqlsh duckdb influx isql sqlplus usql pgcli mycli redis-cli-shell spark-shell pyspark hive beeline',
    'starts a shell or a program of its own':
      'su runuser sg newgrp login ssh slogin mosh autossh sshpass dbclient telnet rlogin rsh ftp sftp lftp ncftp socat script scriptlive screen tmux byobu dtach abduco zellij at batch crontab ' +
      'chroot unshare nsenter setpriv capsh pkexec gosu su-exec systemd-run systemd-nspawn machinectl setarch linux32 linux64 i386 x86_64 numactl prlimit cgexec firejail bwrap schroot proot fakeroot fakechroot ' +
      'eatmydata catchsegv start-stop-daemon daemonize daemon run-parts runit runsv runsvdir chpst softlimit setuidgid envdir envuidgid multilog tini dumb-init s6-setuidgid supervisord supervisorctl ' +
      'cttyhack uevent logsave mim debconf-apt-progress env_parallel.bash env_parallel.sh env_parallel.dash env_parallel.ksh env_parallel.mksh env_parallel.zsh env_parallel.fish env_parallel.csh env_parallel.tcsh sotruss mtrace memusage scalar e2scrub e2scrub_all installkernel instmodsh libnetcfg xsubpp h2xs enc2xs perlivp pydoc idle 2to3 prename perl-rename file-rename ucf tzselect dbus-send gdbus busctl fuse-overlayfs lesskey-exec dpkg-fsys-usrunmess  fstab-decode niceload parset parcat env_parallel debconf dpkg-reconfigure dpkg-preconfigure dpkg-maintscript-helper invoke-rc.d deb-systemd-invoke run-init watchdog acpid savelog sql groff troff pic gpic perldoc perlbug perlthanks prove ptargrep pl2pm bashbug apt-key piconv rsync-ssl rrsync git-receive-pack git-upload-archive pam_namespace_helper ' +
      'mispipe xe rush gargs just direnv rbenv pyenv asdf mise foreman honcho pm2 forever nodemon watchexec reflex circusd monit god execlineb s6-svscan s6-supervise with-contenv consul-template envconsul chamber aws-vault sops doppler tsocks heaptrack bpftrace systemtap uftrace trace-cmd toolbox distrobox hg svn bzr fossil cvs gh glab rdmd nim crystal zig ctest meson waf bazel xdotool etckeeper vcsh ' +
      'coreutils sbase-box ubase-box systemd-inhibit runcon schedtool trickle hyperfine openrc-run catatonit choom uclampset coresched nocache vipe vidir zrun lckdo dotlockfile setlock timelimit apptainer singularity buildah sem caffeinate openvt switch_root pivot_root genv gnice gnohup gtimeout gstdbuf gxargs gfind strace ltrace gdb gdbserver lldb perf valgrind rr bpftrace stap unbuffer rlwrap parallel pee sponge-exec chronic ifne entr inotifywait-exec fzf sk inotifyd bootchartd telnetd getty agetty mingetty sulogin zcip svlogd popmaildir reformime makemime lpd ftpd conspy fbsplash incrond dbus-run-session dbus-launch xvfb-run cpulimit faketime torify torsocks proxychains proxychains4 ' +
      'docker podman nerdctl crictl ctr runc crun lxc lxc-attach virsh vagrant ansible ansible-playbook salt salt-call puppet chef-client terraform helm ' +
      'ld.so logrotate anacron cron crond dhclient udhcpc udhcpd pppd openvpn inetd xinetd tcpsvd udpsvd fakeidentd ifup ifdown ifplugd mdev udevadm hwclock-exec init telinit linuxrc chpasswd-exec',
    'compiles or installs code and runs parts of it':
      'gcc cc c++ g++ c89 c99 clang clang++ cpp ld gold as-exec go cargo rustc npm npx yarn pnpm pip pip3 pipx gem bundle bundler composer cpan cpanm easy_install conda poetry uv uvx nix nix-shell guix snap flatpak ' +
      'debuild dpkg-buildpackage rpmbuild makepkg configure autoreconf automake autoconf libtool',
  }).flatMap(([what, names]) => words(names).map((name) => [name, what])),
)
/** The same with a version behind the name: python3.11, perl5.36.0, lua5.4, tclsh8.6, gcc-12, x86_64-linux-gnu-gcc. */
const VERSIONED = /^(?:[a-z0-9_]+-linux-(?:gnu|musl)[a-z0-9]*-)?([A-Za-z+]+)(?:-?\d[\d.]*)?(?:-(?:config-)?dbg)?(?:-[a-z0-9_]+-linux-(?:gnu|musl)[a-z0-9]*)?$/
/** The loader runs any program that is its argument. */
const LOADER = /^ld(?:-linux|-musl|-\d|64|\.so)/

/** Programs from which a person reaches a shell by a key. */
const ESCAPE: ReadonlyMap<string, 'edit' | 'view' | 'other'> = new Map([
  ...words(
    'vi vim nvim vim.tiny vim.basic vim.nox view vimdiff nvi elvis vile ex rvim rview gvim ee nano rnano pico emacs emacsclient jed joe jmacs jstar rjoe ne micro kak hx mg zile mcedit le editor sensible-editor select-editor sudoedit',
  ).map((name) => [name, 'edit'] as const),
  ...words('less more most pg zless zmore bzless xzless lzless zstdless lesspipe lessfile xzmore lzmore pager sensible-pager').map(
    (name) => [name, 'view'] as const,
  ),
  ...words(
    'man info apropos-pager top htop atop btop glances iftop nmon tig mc ranger nnn lf vifm ncdu lynx links elinks w3m mutt neomutt alpine mail mailx cscope sensible-browser xdg-open visudo vipw vigr edquota crontab-edit hexedit-shell screenfetch-shell gdbtui cgdb k9s',
  ).map((name) => [name, 'other'] as const),
])
/** Programs that load the file they are given: `editLimit` asks for its size first. */
export function readsWholeFile(name: string): boolean {
  const kind = ESCAPE.get(name)
  return kind === 'edit' || kind === 'view'
}

/** Options and operands by which an otherwise plain program runs another one. */
interface Risk {
  /** Option characters, wherever they stand in a cluster. */
  readonly short?: string
  /** Long options; a GNU prefix of one counts. */
  readonly long?: readonly string[]
  /** Any argument that matches. */
  readonly args?: RegExp
  /** The first operand is a cluster of options even without a dash (tar). */
  readonly bareCluster?: boolean
  readonly cause?: Cause
}
const RISKS: ReadonlyMap<string, Risk> = new Map(
  Object.entries({
    tar: {
      short: 'IF',
      long: ['to-command', 'checkpoint-action', 'use-compress-program', 'rsh-command', 'rmt-command', 'info-script', 'new-volume-script'],
      bareCluster: true,
    },
    bsdtar: { long: ['use-compress-program'] },
    fd: { short: 'xX', long: ['exec', 'exec-batch'] },
    fdfind: { short: 'xX', long: ['exec', 'exec-batch'] },
    rg: { long: ['pre', 'hostname-bin'] },
    ag: { long: ['pager'] },
    ack: { long: ['pager'] },
    bat: { long: ['pager'] },
    cpio: { long: ['rsh-command'] },
    sort: { long: ['compress-program'] },
    split: { long: ['filter'] },
    tcpdump: { short: 'z' },
    zip: { long: ['unzip-command'], args: /^-(?:TT|[^-]*T)/ },
    rsync: { short: 'e', long: ['rsh', 'rsync-path'] },
    scp: { short: 'SoFJ' },
    wget: { long: ['use-askpass', 'config', 'execute'], args: /^-(?:[^-OPoaU]*e)/ },
    nc: { short: 'ec', long: ['exec', 'sh-exec'] },
    ncat: { short: 'ec', long: ['exec', 'sh-exec', 'lua-exec'] },
    netcat: { short: 'ec' },
    nmap: { long: ['script', 'interactive', 'datadir'], args: /^-sC|^-A$/ },
    install: { long: ['strip-program'] },
    sdiff: { short: 'o', long: ['diff-program', 'output'] },
    diff3: { long: ['diff-program'] },
    ip: { args: /^(?:exec|exe|ex|e|-b|-ba(?:t|tc|tch)?)$/ },
    // A package of one's own runs its scripts.
    apt: { short: 'oc', long: ['option', 'config-file'], args: /\.deb$/ },
    'apt-get': { short: 'oc', long: ['option', 'config-file'], args: /\.deb$/ },
    'apt-cache': { short: 'oc', long: ['option', 'config-file'] },
    aptitude: { short: 'oc' },
    dpkg: { short: 'i', long: ['pre-invoke', 'post-invoke', 'install', 'unpack', 'configure', 'status-logger'] },
    rpm: { short: 'ED', long: ['eval', 'define', 'pipe', 'root', 'load', 'rcfile', 'macros'] },
    yum: { short: 'c', long: ['config', 'setopt'] },
    dnf: { short: 'c', long: ['config', 'setopt'] },
    ldd: { args: /^[^-]/ },
    openssl: { args: /^--?(?:engine|provider|provider-path)$|^engine$/ },
    gzexe: { args: /./ },
    json_pp: { args: /eval/ },
    grog: { long: ['run'] },
    // Gives a program's file another name.
    'dpkg-divert': { args: /^--(?:ren|add|div|rem)|^[^-]/ },
    // Perl's rename runs its first operand; the one of util-linux takes words.
    rename: { args: /[;({`]|^s(\W).*\1.*\1[a-z]*e/ },
    // What the kernel starts by itself.
    sysctl: { args: /core_pattern|modprobe|hotplug|poweroff_cmd|uevent_helper|binfmt/ },
    ldconfig: { short: 'fCnlr' },
    patch: { short: 'e', long: ['ed'] },
    'apt-config': { short: 'oc', long: ['option', 'config-file'] },
    'apt-mark': { short: 'oc', long: ['option', 'config-file'] },
    'apt-cdrom': { short: 'oc', long: ['option', 'config-file'] },

    // Its operand is a file of /etc/init.d, or of any other place.
    service: { args: /\// },
    mkfs: { short: 't' },
    fsck: { short: 't' },
    nroff: { short: 'U' },
    'ssh-keygen': { short: 'D', args: /^-[wz]/ },
    'ssh-agent': { args: /^[^-]/ },
    'ssh-add': { short: 'sS' },
    'git-shell': { args: /./ },
    ctags: { long: ['options'] },
    cscope: { short: 'd' },
    insmod: { args: /./ },
    modprobe: { args: /^[^-]|^-(?:C|d|i)/ },
    mount: { short: 'BMR', long: ['bind', 'rbind', 'move'], args: /(?:^|,|=)(?:r?bind|move)(?:,|$)/ },
    iptables: { long: ['modprobe'] },
    tftpd: { args: /./ },
    httpd: { args: /./ },
    sysdig: { short: 'c' },
    msgfilter: { args: /./ },
    msgexec: { args: /./ },
    exim4: { args: /^-be/ },
    sendmail: { short: 'CH' },
    ntpd: { short: 'S' },
    'update-alternatives': { long: ['install', 'set', 'config'] },
    'systemd-cat': { args: /^[^-]/ },

    exiftool: { long: ['if', 'config'], args: /^-if/ },
    pdftex: { args: /shell-escape|write18/ },
    gpg: { long: ['photo-viewer', 'keyserver-options', 'agent-program', 'dirmngr-program', 'pinentry-mode'] },
  } satisfies Record<string, Risk>),
)

/** Programs whose first operand says whether they are plain. */
interface Subcommands {
  readonly globals: OptionTable
  /** Global options that run something. */
  readonly risky: readonly string[]
  /** Subcommands that run nothing else; empty: all but `bad`. */
  readonly plain?: ReadonlySet<string>
  readonly bad?: ReadonlySet<string>
  /** Options of any subcommand by which it runs something. */
  readonly args?: RegExp
  readonly cause: Cause
}
const SUBCOMMANDS: ReadonlyMap<string, Subcommands> = new Map(
  Object.entries({
    git: {
      globals: { flags: 'Pvh', valued: 'C', long: ['no-pager', 'version', 'help', 'no-optional-locks', 'literal-pathspecs', 'bare'] },
      risky: [],
      plain: new Set(
        words(
          'status log diff show branch tag ls-files ls-tree rev-parse rev-list describe blame shortlog cat-file add rm mv init reflog merge-base name-rev show-ref ' +
            'for-each-ref count-objects fsck grep check-ignore diff-tree diff-index diff-files whatchanged stash reset restore remote var version help annotate cherry',
        ),
      ),
      args: /^--(?:op|ext-|textc|out|temp|exec|upl|rec)|^-O/,
      cause: 'escape',
    },
    kubectl: {
      globals: {
        valued: 'nsv',
        long: ['insecure-skip-tls-verify', 'warnings-as-errors', 'match-server-version'],
        longValued: ['namespace', 'kubeconfig', 'context', 'cluster', 'user', 'server', 'token', 'request-timeout', 'as', 'as-group', 'cache-dir', 'profile'],
      },
      risky: ['kubeconfig'],
      plain: new Set(
        words(
          'get describe logs top version cluster-info api-resources api-versions explain rollout scale apply delete create label annotate cordon uncordon drain taint auth wait expose set config options events patch autoscale completion replace diff-none cp port-forward',
        ),
      ),
      cause: 'opaque',
    },
    systemctl: {
      globals: {
        flags: 'alqrh',
        valued: 'tpPnoHM',
        long: [
          ...words('all full failed no-pager quiet user system no-legend reverse recursive plain value no-block now runtime force no-ask-password global wait'),
        ],
        longValued: ['type', 'state', 'property', 'lines', 'output', 'signal', 'kill-whom', 'job-mode', 'root', 'after', 'before'],
      },
      risky: ['H', 'M', 'root'],
      bad: new Set(['edit', 'link', 'enable-exec', 'set-environment', 'import-environment', 'switch-root']),
      cause: 'escape',
    },
  } satisfies Record<string, Subcommands>),
)

/** The vetting of a program by name; undefined when it is in no table. */
export function programVet(name: string): Vet | undefined {
  const own = VETS.get(name)
  if (own) return own
  const opaque = OPAQUE.get(name) ?? OPAQUE.get(VERSIONED.exec(name)?.[1] ?? '')
  if (opaque !== undefined) return (call, scope) => vetOpaque(call, scope, opaque)
  if (LOADER.test(name)) return (call, scope) => scope.find('opaque', call.name, 'runs any program that it is given')
  if (ESCAPE.has(name)) return vetEscape
  const risk = RISKS.get(name)
  if (risk) return (call, scope) => vetRisk(call, scope, risk)
  const subcommands = SUBCOMMANDS.get(name)
  return subcommands && ((call, scope) => vetSubcommand(call, scope, subcommands))
}
/** True when a table knows the name: a function of that name would hide it. */
export function isKnownProgram(name: string): boolean {
  return programVet(name) !== undefined || WRITERS.has(name) || COMMON.has(name)
}

const VETS: ReadonlyMap<string, Vet> = new Map(
  Object.entries({
    awk: vetAwk,
    gawk: vetAwk,
    mawk: vetAwk,
    nawk: vetAwk,
    'original-awk': vetAwk,
    sed: vetSed,
    gsed: vetSed,
    curl: vetCurl,
    // busybox: a script that is `rm -rf`.
    nuke: ({ name, args }, scope) => scope.run([constant('rm'), constant('-rf'), ...args], name),
  }),
)

/** A file of options may hold any: where to write, what to read. */
function vetCurl({ name, args }: Call, scope: Scope): void {
  const file = args.find(({ kind, text }) => kind === 'constant' && /^-[A-Za-z#0-9]*K|^--conf/.test(text))
  if (file) scope.find('unread-option', name, `takes options from a file (${file.text})`)
}
function vetOpaque({ name, args }: Call, scope: Scope, what: string): void {
  const [only, ...more] = args
  if (name === 'crontab' && only?.kind === 'constant' && only.text === '-l' && more.length === 0) return
  if (only?.kind === 'constant' && more.length === 0 && /^(?:--version|--help|-version)$/.test(only.text)) return
  scope.find('opaque', name, `${what}; what it runs cannot be seen`)
}

const SURELY_PLAIN_START = /^\+(?:\d*|\/.*|G|F)$/
function vetEscape({ name, args }: Call, scope: Scope): void {
  // In batch mode top reads no keys.
  if (name === 'top' && args.every((arg) => arg.kind === 'constant') && args.some((arg) => /^-[a-zA-Z]*b/.test(arg.text))) return
  scope.find('escape', name, 'can start a shell by a key')
  for (const arg of args) {
    const commands = arg.text.startsWith('+') ? !SURELY_PLAIN_START.test(arg.text) : /^-(?:[cSuswUkKPH]|-cmd|-lesskey|-pager|-tag|-eval|-load)/.test(arg.text)
    if (commands || (name !== 'top' && mayBeOption(arg) && arg.splits)) scope.find('opaque', name, `is told to run something (${arg.text})`)
  }
}

function vetRisk({ name, args }: Call, scope: Scope, risk: Risk): void {
  const cause = risk.cause ?? 'opaque'
  let ended = false
  args.forEach((arg, index) => {
    if (ended && !risk.args?.test(arg.text)) return
    if (arg.kind === 'constant' && arg.text === '--') ended = true
    else if (mayBeOption(arg)) laterOption(arg, name, scope, cause)
    else if (risk.args?.test(arg.text) || isRiskyOption(arg.text, risk, index === 0)) scope.find(cause, name, `can run another program (${arg.text})`)
  })
}
function isRiskyOption(text: string, risk: Risk, first: boolean): boolean {
  if (text.startsWith('--')) {
    const given = text.slice(2).split('=')[0] ?? ''
    return given !== '' && (risk.long?.some((name) => name.startsWith(given)) ?? false)
  }
  const cluster = text.startsWith('-') ? text.slice(1) : first && risk.bareCluster ? text : ''
  return [...(risk.short ?? '')].some((flag) => cluster.includes(flag))
}
/** An argument that only the shell knows may become one of the options: allowed when this line shows that it does not. */
function laterOption(arg: Arg, name: string, scope: Scope, cause: Cause): void {
  scope.later(() => {
    if (arg.kind === 'glob') {
      scope.find('unproven', name, `has a pattern that may match a name like an option (${arg.text})`)
      return
    }
    const values = arg.variable === undefined ? undefined : scope.valuesOf(arg.variable)
    if (values?.every((value) => value.prefix !== '' && !/^-|\s-/.test(value.text))) return
    scope.find(cause, name, `has an argument that may become an option which runs another program (${arg.text}); write -- or ./ before it`)
  })
}

function vetSubcommand({ name, args }: Call, scope: Scope, table: Subcommands): void {
  const read = readOptions(args, table.globals)
  if ('unread' in read) {
    scope.find(table.cause, name, `has ${read.unread}`)
    return
  }
  const risky = read.options.find((option) => table.risky.includes(option.name))
  if (risky) scope.find(table.cause, name, `-${risky.name} can run another program`)
  const [subcommand, ...rest] = read.operands
  if (!subcommand) return
  const plain = subcommand.kind === 'constant' && !table.bad?.has(subcommand.text) && (table.plain?.has(subcommand.text) ?? true)
  if (!plain) {
    scope.find(table.cause, name, `${subcommand.text} can run another program`)
    return
  }
  for (const arg of rest) {
    if (arg.kind === 'constant' && arg.text === '--') break
    if (table.args && (table.args.test(arg.text) || (arg.kind === 'dynamic' && mayBeOption(arg)))) {
      scope.find(table.cause, name, `${subcommand.text} may run another program with ${arg.text}`)
    }
  }
}

/** Names that everybody knows as programs: a function may not take one. Not exhaustive; a function's body is vetted anyway. */
const COMMON: ReadonlySet<string> = new Set(
  words(
    'nproc getconf bc id ls cat rm cp mv ln mkdir rmdir touch chmod chown chgrp ps grep egrep fgrep head tail cut tr sort uniq wc tee diff cmp find which whoami id groups uname hostname date cal sleep df du free uptime ' +
      'kill killall pkill pgrep pidof mount umount stat file basename dirname realpath readlink seq expr printenv env tar gzip gunzip zcat bzip2 xz zip unzip curl wget ping ss netstat ip ifconfig route dig nslookup ' +
      'host lsof dmesg journalctl systemctl service kubectl git ssh scp rsync unlink shred truncate dd sync yes nl od xxd hexdump md5sum sha256sum base64 rev tac paste join comm split clear reset tput stty tty who w last',
  ),
)
