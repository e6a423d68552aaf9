// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell text
/**
 * Random shell lines. Every command name is made of the letters q, j and k, for each of which the runner has a stub, or is a
 * wrapper that can only start such a name. A grammar gives lines that shells accept; mutations give lines on which two
 * parsers may disagree, which is what is looked for.
 */
import type { Dialect } from '../../../src/core/types.js'

/** A generator of numbers in [0, 1), the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export const LETTERS = ['q', 'j', 'k'] as const

type Make = (g: Generator) => string
export class Generator {
  readonly #next: () => number
  readonly dialect: Dialect
  depth = 0

  constructor(seed: number, dialect: Dialect) {
    this.#next = random(seed)
    this.dialect = dialect
  }
  int(limit: number): number {
    return Math.floor(this.#next() * limit)
  }
  chance(probability: number): boolean {
    return this.#next() < probability
  }
  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T
  }
  make(list: readonly Make[]): string {
    return this.pick(list)(this)
  }
  name(): string {
    return Array.from({ length: 1 + this.int(2) }, () => this.pick(LETTERS)).join('')
  }

  /** A line: a program, sometimes with a few characters changed. */
  line(): string {
    const text = this.list()
    return this.chance(0.4) ? this.#mutate(text) : text
  }
  #mutate(text: string): string {
    let result = text
    for (let i = 0, n = 1 + this.int(3); i < n; i++) {
      const at = this.int(result.length + 1)
      const cut = this.chance(0.3) ? 1 : 0
      result = result.slice(0, at) + (this.chance(0.85) ? this.pick(NOISE) : '') + result.slice(at + cut)
    }
    return result
  }

  list(): string {
    this.depth++
    const parts = Array.from({ length: this.depth > 2 ? 1 : 1 + this.int(2) }, () => this.andOr())
    this.depth--
    return parts.join(this.pick(['; ', ';', '\n', ' & ', ' # c\n']))
  }
  andOr(): string {
    return this.chance(0.2) ? `${this.pipeline()}${this.pick([' && ', ' || ', '&&', '||'])}${this.pipeline()}` : this.pipeline()
  }
  pipeline(): string {
    const one = this.chance(0.2) ? `${this.command()}${this.pick([' | ', '|'])}${this.command()}` : this.command()
    return this.chance(0.08) ? `! ${one}` : one
  }
  command(): string {
    const deep = this.depth > 3
    return deep || this.chance(0.65) ? this.simple() : this.make(this.dialect === 'bash' ? [...COMPOUND, ...BASH_COMPOUND] : COMPOUND)
  }
  simple(): string {
    const words = [this.#spelled(this.name()), ...Array.from({ length: this.int(3) }, () => this.word())]
    const wrapped = this.chance(0.25) ? `${this.make(WRAPPERS)} ${words.join(' ')}` : words.join(' ')
    const assigned = this.chance(0.15) ? `v=${this.word()} ${wrapped}` : wrapped
    return this.chance(0.25) ? (this.chance(0.3) ? `${this.redirect()} ${assigned}` : `${assigned} ${this.redirect()}`) : assigned
  }
  redirect(): string {
    return this.make(this.dialect === 'bash' ? [...REDIRECTS, ...BASH_REDIRECTS] : REDIRECTS)
  }
  /** The same text, quoted in one of the ways that quoting can be written. */
  #spelled(text: string): string {
    const kind = this.int(this.dialect === 'bash' ? 8 : 6)
    if (kind === 0) return `'${text}'`
    if (kind === 1) return `"${text}"`
    if (kind === 2) return `\\${text}`
    if (kind === 3) return `${text.slice(0, 1)}""${text.slice(1)}`
    if (kind === 6) return `$'${text}'`
    if (kind === 7) return `$'\\x${text.charCodeAt(0).toString(16)}${text.slice(1)}'`
    return text
  }
  word(): string {
    this.depth++
    const word = this.depth > 5 ? this.name() : this.make(this.dialect === 'bash' ? [...WORDS, ...BASH_WORDS] : WORDS)
    this.depth--
    return word
  }
}

const NOISE = [
  ...'\'"\\`$(){}[];&|<>#!~*?=,-@:%^+/ \n\t01qjk'.split(''),
  '$(',
  '${',
  '$((',
  '))',
  '<<',
  '<<-',
  "$'",
  '$"',
  '&>',
  '>&',
  '|&',
  ';;',
  '<(',
  '[[',
  ']]',
  '((',
  'do',
  'then',
  'fi',
  'case',
  'in',
  'esac',
  'time ',
  'function ',
  '{ ',
  '; }',
  '\\\n',
  '#\n',
  '`',
  "'q'",
]

const WORDS: readonly Make[] = [
  (g) => g.name(),
  (g) => g.name(),
  (g) => `'${g.name()} ${g.name()}'`,
  (g) => `"${g.name()} ${g.name()}"`,
  (g) => `"a'${g.name()}"`,
  (g) => `'a"${g.name()}'`,
  (g) => `\\${g.pick(['"', "'", '$', '`', ' ', ';', '#', '\\'])}${g.name()}`,
  (g) => `$(${g.list()})`,
  (g) => `"$(${g.list()})"`,
  (g) => `\`${g.name()} ${g.name()}\``,
  (g) => `"\`${g.name()}\`"`,
  () => '$v',
  () => '"$v"',
  (g) => `\${v:-${g.word()}}`,
  (g) => `"\${v:-${g.word()}}"`,
  (g) => `\${v#${g.word()}}`,
  (g) => `"\${v%'${g.name()}'}"`,
  (g) => `$((${g.pick(['1+1', '2*(3+4)', `$(${g.name()})1`])}))`,
  (g) => `${g.name()}#${g.name()}`,
  () => '{}',
  () => '*',
  () => '~',
  (g) => `-${g.name()}`,
  (g) => `v=${g.name()}`,
  (g) => `'$(${g.name()})'`,
  (g) => `"\\$(${g.name()})"`,
  (g) => `"\\\`${g.name()}\\\`"`,
  (g) => `"\\\\$(${g.name()})"`,
]
const BASH_WORDS: readonly Make[] = [
  (g) => `{${g.name()},${g.word()}}`,
  (g) => `${g.name()}{${g.name()},${g.name()}}`,
  () => '{1..3}',
  (g) => `$'${g.name()}\\'${g.name()}'`,
  (g) => `$'\\n${g.name()}'`,
  (g) => `<(${g.list()})`,
  (g) => `\${v/${g.word()}/${g.word()}}`,
  (g) => `"\${v//${g.name()}/$(${g.name()})}"`,
  (g) => `\${v:$(${g.name()})0:1}`,
  () => '${v^^}',
]
const REDIRECTS: readonly Make[] = [
  () => '>/dev/null',
  () => '2>&1',
  () => '</dev/null',
  (g) => `>${g.name()}`,
  (g) => `2>"${g.name()}"`,
  (g) => `<<E\n${g.word()}\n$(${g.name()}) \`${g.name()}\`\nE\n`,
  (g) => `<<'E'\n$(${g.name()})\nE\n`,
  (g) => `<<-E\n\t${g.word()}\n\tE\n`,
  () => '>&2',
]
const BASH_REDIRECTS: readonly Make[] = [() => '&>/dev/null', (g) => `<<<${g.word()}`, (g) => `> >(${g.name()})`, () => '&>>/dev/null']
const WRAPPERS: readonly Make[] = [
  () => 'command',
  () => 'command --',
  () => 'command -p',
  () => 'env',
  () => 'env -i PATH="$PATH" L="$L" N="$N"',
  (g) => `env v=${g.name()}`,
  () => 'env -u v',
  () => 'nice -n 1',
  () => 'nohup',
  () => 'timeout -k 1 2',
  () => 'timeout 2',
  () => 'stdbuf -oL',
  () => 'setsid -w',
  () => 'eval',
  () => 'exec',
  () => 'busybox env',
  (g) => `sh -c '${g.name()} "$@"' _`,
  (g) => `sh -c '${g.name()}; ${g.name()} x'`,
  (g) => `echo ${g.name()} | xargs`,
  (g) => `echo ${g.name()} | xargs -I{}`,
  (g) => `find . -maxdepth 0 -exec ${g.name()} {} \\; -exec`,
]
const COMPOUND: readonly Make[] = [
  (g) => `(${g.list()})`,
  (g) => `{ ${g.list()}; }`,
  (g) => `if ${g.list()}; then ${g.list()}; else ${g.list()}; fi`,
  (g) => `if ${g.list()}\nthen ${g.list()}\nelif ${g.list()}\nthen ${g.list()}\nfi`,
  (g) => `for v in ${g.word()} ${g.word()}; do ${g.list()}; done`,
  (g) => `while ${g.list()}; do ${g.list()}; break; done`,
  (g) => `until ${g.list()}; do break; done`,
  (g) => `case ${g.word()} in ${g.name()}) ${g.list()};; (*) ${g.list()};; esac`,
  (g) => `case ${g.word()} in *) ${g.list()}\nesac`,
  (g) => `f() { ${g.list()}; }; f`,
  (g) => `v=${g.word()}`,
  (g) => `: ${g.word()} ${g.word()}`,
  (g) => `[ ${g.name()} = "${g.name()}" ]`,
  (g) => `{ ${g.list()}; } ${g.redirect()}`,
]
const BASH_COMPOUND: readonly Make[] = [
  (g) => `[[ ${g.word()} == ${g.name()} ]]`,
  (g) => `[[ -n ${g.word()} && ( ${g.word()} || ! ${g.name()} ) ]]`,
  (g) => `((${g.pick(['1', '1+2', `$(${g.name()})1`])}))`,
  (g) => `for ((i=0;i<1;i++)); do ${g.list()}; done`,
  (g) => `time ${g.pipeline()}`,
  (g) => `function f { ${g.list()}; }; f`,
  (g) => `a=(${g.word()} ${g.word()})`,
  (g) => `a[1]=${g.word()}`,
  (g) => `${g.command()} |& ${g.command()}`,
  (g) => `declare v=${g.word()}`,
  (g) => `coproc ${g.name()}`,
]
