/** Files that a program writes, by its name and arguments: where a redirection may not write, neither may a program. */
import type { Call } from './scope.js'
import { type Arg, constant } from './words.js'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** Programs that write the files they are given: where a redirection may not write, neither may they. */
export const WRITERS: ReadonlySet<string> = new Set(
  words(
    'cp mv ln link install tee dd truncate shred sponge rsync scp touch mkdir mknod mkfifo chmod chown chgrp symlink patch rename split csplit gunzip unxz bunzip2 unlzma uncompress strip ssh-keygen',
  ),
)
/** A file under another name is beyond the path rules of its first. */
const RENAMERS: ReadonlySet<string> = new Set(words('cp mv ln link install rsync dd'))
export function renamesFiles(name: string): boolean {
  return RENAMERS.has(name)
}

/** Which of the arguments of a writing program name what it writes. */
export function writtenFiles({ name, args }: Call): readonly Arg[] {
  const placer = PLACERS.get(name)
  if (placer) return [...(placer.here ? [constant('.')] : []), ...optionValues(args, placer)]
  if (!WRITERS.has(name)) return []
  if (name === 'dd') return args.filter((arg) => arg.prefix.startsWith('of=')).map((arg) => ({ ...arg, text: arg.text.slice(3), prefix: arg.prefix.slice(3) }))
  const operands = args.filter((arg) => !(arg.kind === 'constant' && arg.text.startsWith('-')))
  if (!['cp', 'mv', 'ln', 'link', 'install', 'rsync', 'scp'].includes(name)) return operands
  const target = args.findIndex((arg) => arg.kind === 'constant' && /^-[a-zA-Z]*t$|^--target[a-z-]*$/.test(arg.text))
  const attached = args.find((arg) => /^--target[a-z-]*=|^-t./.test(arg.text))
  if (attached) return [{ ...attached, text: attached.text.replace(/^--target[a-z-]*=|^-t/, ''), prefix: attached.prefix.replace(/^--target[a-z-]*=|^-t/, '') }]
  if (target >= 0) return args.slice(target + 1, target + 2)
  // mv takes its sources away too.
  return name === 'mv' ? operands : operands.slice(-1)
}

/** What `ln` gives another name. */
export function linkedFiles({ name, args }: Call): readonly Arg[] {
  if (name !== 'ln' && name !== 'link') return []
  const operands = args.filter((arg) => arg.kind === 'constant' && !arg.text.startsWith('-'))
  // `ln FILE` links into the directory itself; a folder given with -t is one operand too many, and no harm.
  return operands.length > 1 && !args.some((arg) => /^-[a-zA-Z]*t|^--target/.test(arg.text)) ? operands.slice(0, -1) : operands
}

/** `-x`, `./--checkpoint-action=..`: a name that a later `tar cf a *` would take for an option. */
export function isOptionName(text: string): boolean {
  return /(?:^|\/)-[^/]+$/.test(text)
}
/** Files of such a name that a program makes. */
export function madeOptionNames({ name, args }: Call): readonly Arg[] {
  if (!WRITERS.has(name)) return []
  const end = args.findIndex((arg) => arg.kind === 'constant' && arg.text === '--')
  const operands = args.filter((arg, index) => (end >= 0 && index > end) || !arg.text.startsWith('-'))
  const made = ['cp', 'mv', 'ln', 'link', 'install'].includes(name) ? operands.slice(-1) : name === 'dd' ? writtenFiles({ name, args }) : operands
  return made.filter((arg) => isOptionName(arg.text))
}

/** Programs that put files where their options say, and `here`: into the directory where they run. */
interface Placer {
  readonly short: string
  readonly long: readonly string[]
  readonly here?: boolean
}
const PLACERS: ReadonlyMap<string, Placer> = new Map(
  Object.entries({
    curl: { short: 'oDc', long: words('output output-dir dump-header cookie-jar trace trace-ascii stderr hsts etag-save libcurl'), here: true },
    wget: { short: 'OPoa', long: words('output-document directory-prefix output-file append-output save-cookies'), here: true },
    tar: { short: 'Cf', long: words('directory file'), here: true },
    bsdtar: { short: 'Cf', long: words('directory file'), here: true },
    unzip: { short: 'd', long: [], here: true },
    cpio: { short: 'DFO', long: words('directory file'), here: true },
    '7z': { short: 'o', long: [], here: true },
    ar: { short: '', long: words('output'), here: true },
    openssl: { short: '', long: words('out keyout writerand') },
    gpg: { short: 'o', long: words('output') },
    iconv: { short: 'o', long: words('output') },
    strip: { short: 'o', long: [] },
    objcopy: { short: '', long: words('dump-section') },
    aria2c: { short: 'od', long: words('out dir log'), here: true },
    axel: { short: 'o', long: words('output'), here: true },
    tftp: { short: 'l', long: [], here: true },
    git: { short: 'C', long: words('git-dir work-tree output separate-git-dir') },
  } satisfies Record<string, Placer>),
)
/** Values of options, attached or next; openssl's have one dash. Read generously: a cluster's rest counts too. */
function optionValues(args: readonly Arg[], { short, long }: Placer): readonly Arg[] {
  return args.flatMap((arg, index) => {
    const next = args[index + 1] ?? []
    const named = /^--?([a-z][\w-]+)(=?)([\s\S]*)$/.exec(arg.text)
    if (named && long.includes(named[1] ?? '')) return named[2] === '=' ? [{ ...arg, text: named[3] ?? '', prefix: named[3] ?? '' }] : next
    const cluster = arg.text.startsWith('-') || index === 0 ? (/^-?([A-Za-z]+)$/.exec(arg.text)?.[1] ?? '') : ''
    const taken = [...cluster.slice(-2)].filter((flag) => short.includes(flag)).length
    if (taken > 0) return args.slice(index + 1, index + 1 + taken)
    const attached = /^-[A-Za-z]*([A-Za-z])([./~][\s\S]*)$/.exec(arg.text)
    return attached && short.includes(attached[1] ?? '') ? [{ ...arg, text: attached[2] ?? '', prefix: attached[2] ?? '' }] : []
  })
}

/** Programs that read and print, and yet write a file when told to: option letter, or the operand that is the output. */
const PRINTERS: ReadonlyMap<string, { readonly option?: string; readonly long?: string; readonly operand?: number }> = new Map(
  Object.entries({
    sort: { option: 'o', long: 'output' },
    shuf: { option: 'o', long: 'output' },
    tree: { option: 'o' },
    uniq: { operand: 1 },
    xxd: { operand: 1 },
    yq: { option: 'i', long: 'inplace' },
  }),
)
/** The file that a printing program is told to write, as a redirection would. */
export function redirectedOutput({ name, args }: Call): Arg | undefined {
  const row = PRINTERS.get(name)
  if (!row) return undefined
  const { option, long, operand } = row
  for (const [index, arg] of args.entries()) {
    if (option !== undefined && arg.kind === 'constant' && new RegExp(`^-[A-Za-z]*${option}`).test(arg.text)) {
      const attached = arg.text.slice(arg.text.indexOf(option) + 1)
      return attached === '' ? args[index + 1] : { ...arg, text: attached, prefix: attached }
    }
    if (long !== undefined && arg.text.startsWith('--') && arg.text.length > 3 && `--${long}`.startsWith(arg.text.split('=')[0] ?? '')) {
      return arg.text.includes('=')
        ? { ...arg, text: arg.text.slice(arg.text.indexOf('=') + 1), prefix: arg.text.slice(arg.text.indexOf('=') + 1) }
        : args[index + 1]
    }
  }
  return operand === undefined ? undefined : args.filter((arg) => !(arg.kind === 'constant' && /^-./.test(arg.text)))[operand]
}
