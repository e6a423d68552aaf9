/**
 * A shell line -> every command that it may run, wrappers unwrapped, and everything in it that a default speaks about.
 * Pure. Whatever the walk does not know is reported, never passed over: each kind of tree node has its row in VISITS, and
 * each leaf of a word is looked at for an expansion that the parser did not see.
 */
import {
  type Assignment,
  type Command,
  forEachChild,
  type ParameterExpansionPart,
  type ParsedScript,
  type Redirection,
  type SyntaxNode,
  type Word,
} from 'unbash'
import type { Dialect } from '../core/types.js'
import { isNumeric, isShellNumber, namesIn, numberSource, scriptSource } from './arithmetic.js'
import { BUILTINS } from './builtins.js'
import { isLooker, openedDescriptor, printsDescriptors, reachesDescriptor, unprovenDescriptor } from './descriptors.js'
import type { Cause, Finding } from './findings.js'
import { hiddenScripts } from './latent.js'
import { isOpen, nestedFault, parseLine, parseScript } from './parse.js'
import { absolute, isProtected, isProtectedPlace, PROGRAM_DIRECTORIES } from './paths.js'
import { isKnownProgram, programVet } from './programs.js'
import { type RedirectScope, vetRedirect } from './redirects.js'
import type { Call } from './scope.js'
import { isName, refuseAssignment, refuseExport } from './variables.js'
import { type Arg, constant, expandAssignment, expandWord, isArray, unknownArg, type WordContext } from './words.js'
import { WRAPPERS } from './wrappers.js'
import { isOptionName, linkedFiles, madeOptionNames, redirectedOutput, writtenFiles } from './writers.js'

export interface Invocation extends Call {
  /** Of the shell, and harmless: a white list need not name it. */
  readonly free: boolean
  /** Only carries another command: the audit shows that one. */
  readonly transparent: boolean
  /** Found in a text that another command would read (`sh -c`). */
  readonly nested: boolean
}
export interface Analysis {
  readonly invocations: readonly Invocation[]
  readonly findings: readonly Finding[]
  /** Files that redirections read. */
  readonly reads: readonly Arg[]
  /** Directories that the line may be in while it runs; undefined when only the shell knows. */
  readonly directories: readonly string[] | undefined
  /** Every value that the line gives a variable; undefined when one of them is not known. */
  valuesOf(variable: string): readonly Arg[] | undefined
}
export interface AnalysisContext {
  readonly dialect: Dialect
  readonly cwd: string
  readonly home: string | undefined
  readonly limits: Limits
}
export interface Limits {
  /** Wrappers inside wrappers. Default 6 (guarded-shell.md). */
  readonly depth: number
  /** Commands in a line. */
  readonly commands: number
  /** Nodes of all trees of a line: bounds the time of a verdict. */
  readonly nodes: number
}
export const DEFAULT_LIMITS: Limits = { depth: 6, commands: 1000, nodes: 10_000 }

export type Analysed = Analysis | { readonly fault: 'incomplete' | 'error'; readonly reason: string }

/** Analyses `line`; a fault when it is not a whole line of the dialect. Never throws. */
export function analyse(line: string, context: AnalysisContext): Analysed {
  const parsed = parseLine(line)
  if (parsed.kind !== 'whole') return { fault: parsed.kind, reason: parsed.reason }
  const walk = new Walk(context)
  walk.script(parsed.script, { source: line, depth: 0, dialect: context.dialect, nested: false, loop: false })
  return walk.finish()
}

/** Where in the line the walk is. */
interface Place {
  /** What positions of nodes count in: the line, or the decoded text of a backtick. */
  readonly source: string
  readonly depth: number
  readonly dialect: Dialect
  readonly nested: boolean
  /** In a loop or a function: a change of directory may come before what stands above it. */
  readonly loop: boolean
}
/** Thrown to leave a walk that has cost enough; never leaves this file. */
class TooMuch extends Error {}

/** Characters of one arithmetic expansion. */
const MAX_ARITHMETIC = 4096
/** Nodes above each other; far beyond what a person writes, far below the end of the stack. */
const MAX_HEIGHT = 400
/** Behind a command's last word: no grammar has one there. */
const PARENTHESIS = /[ \t]*\(/y
/** Alternatives of the working directory beyond which it counts as unknown. */
const MAX_DIRECTORIES = 32

class Walk {
  readonly #context: AnalysisContext
  readonly #invocations: Invocation[] = []
  readonly #findings: Finding[] = []
  readonly #reads: Arg[] = []
  readonly #later: (() => void)[] = []
  /** Every value that the line gives a variable; undefined stands for one that is not known. */
  readonly #values = new Map<string, (Arg | undefined)[]>()
  /** Variables that arithmetic reads as numbers and the line makes numbers. */
  readonly #numbers = new Map<string, 'strict' | 'loose'>()
  readonly #inArithmetic = new Set<string>()
  readonly #scopes = new Map<Place, RedirectScope>()
  #directories: readonly string[] | undefined
  #printsDescriptors = false
  #nodes = 0
  #height = 0

  constructor(context: AnalysisContext) {
    this.#context = context
    this.#directories = [context.cwd]
  }

  finish(): Analysis {
    for (const check of this.#later) check()
    const fed = this.#invocations.find((_, index) => this.#invocations[index - 1]?.name === 'xargs')
    if (this.#printsDescriptors && fed && !isLooker(fed.name))
      this.#find('shell-state', fed.name, 'is fed with names from where a process keeps its open files')
    return {
      invocations: this.#invocations,
      findings: this.#findings,
      reads: this.#reads,
      directories: this.#directories,
      valuesOf: (variable) => this.#valuesOf(variable),
    }
  }

  script(script: ParsedScript, place: Place): void {
    try {
      this.#statements(script.commands, place)
    } catch (error) {
      if (!(error instanceof TooMuch || error instanceof RangeError)) throw error
      this.#find('too-much', 'the line', 'is too deep or too long to vet')
    }
  }

  #find(cause: Cause, command: string, found: string): void {
    this.#findings.push({ cause, command, found })
  }
  #words(place: Place): WordContext {
    return { home: this.#context.home, braces: place.dialect === 'bash' }
  }

  // ---------------------------------------------------------------- the tree

  #visit = (node: SyntaxNode, place: Place): void => {
    this.#spend(1)
    if (++this.#height > MAX_HEIGHT) throw new TooMuch()
    if (place.dialect === 'posix') this.#checkPosix(node)
    const visit: ((walk: Walk, node: never, place: Place) => void) | undefined = VISITS[node.type]
    if (visit) visit(this, node as never, place)
    else this.#children(node, place)
    this.#height--
  }
  #spend(nodes: number): void {
    this.#nodes += nodes
    if (this.#nodes > this.#context.limits.nodes) throw new TooMuch()
  }
  #children(node: SyntaxNode, place: Place): void {
    forEachChild(node, (child) => this.#visit(child, place))
  }

  /** dash and ash give these another meaning, or none; the same line would hold other commands there. */
  #checkPosix(node: SyntaxNode): void {
    const what = NOT_POSIX[node.type]
    if (what !== undefined) {
      this.#find('dialect', 'the line', `uses ${what}, which this shell reads otherwise`)
      return
    }
    if (node.type === 'ParameterExpansion' && (node.index || node.prefix === '!' || (node.operation && !['Default', 'Remove'].includes(node.operation.type)))) {
      this.#find('dialect', 'the line', `uses ${node.text}, which this shell reads otherwise`)
    }
    if (node.type === 'Assignment' && (node.append || node.index || isArray(node.value))) {
      this.#find('dialect', 'the line', `uses ${node.text}, which this shell reads otherwise`)
    }
    if (node.type === 'ArithmeticExpansion' && node.text.startsWith('$[')) this.#find('dialect', 'the line', 'uses $[, which this shell reads otherwise')
    if (node.type === 'Pipeline') {
      if (node.operators.includes('|&')) this.#find('dialect', 'the line', 'uses |&, which this shell reads otherwise')
      const timed = node.prefixes.some((prefix) => prefix.type === 'Time')
      if (timed && (node.prefixes.length > 1 || node.commands[0]?.type !== 'Command')) this.#find('dialect', 'the line', 'uses time as bash does')
    }
    if (node.type === 'CaseItem' && node.terminator !== undefined && node.terminator !== ';;') {
      this.#find('dialect', 'the line', `uses ${node.terminator}, which this shell reads otherwise`)
    }
    if (node.type === 'Function' && !/^[A-Za-z_]\w*$/.test(node.name.text)) this.#find('dialect', 'the line', 'names a function as this shell cannot')
  }

  // Rows of VISITS call these; they are public to the table only.
  nestedScript(script: ParsedScript | undefined, text: string, place: Place): void {
    const fault = nestedFault(script)
    if (fault !== undefined || !script) {
      this.#find('syntax', 'the line', fault ?? 'cannot be read')
      return
    }
    if (text.startsWith('$((')) {
      this.#find('dialect', 'the line', 'uses $((, which may be arithmetic or commands; write $( (')
      return
    }
    if (text.startsWith('${')) {
      this.#find('dialect', 'the line', 'uses $' + '{ command; }, which other versions read otherwise')
      return
    }
    this.#statements(script.commands, script.source === undefined ? place : { ...place, source: script.source })
  }
  #statements(statements: readonly SyntaxNode[], place: Place): void {
    for (const statement of statements) this.#visit(statement, place)
  }
  /** Between the words of a command stand blanks and nothing else; what the parser dropped there would run unseen. */
  #checkGaps(node: Command, { source }: Place): void {
    const nodes = [...node.prefix, ...(node.name ? [node.name] : []), ...node.suffix]
    let end = node.pos
    for (const each of nodes) {
      if (each.pos > end && !/^(?:[ \t]|\\\n)*$/.test(source.slice(end, each.pos))) this.#find('syntax', 'the line', 'holds something that cannot be read')
      // bash joins what touches into one word (`a<(b)`), the parser does not.
      if (each.type === 'Word' && each.pos === end && end > node.pos) this.#find('syntax', 'the line', 'has words that touch a process substitution')
      end = Math.max(end, each.end)
    }
    PARENTHESIS.lastIndex = end
    if (PARENTHESIS.test(source)) this.#find('syntax', 'the line', 'has a parenthesis that cannot be read')
  }

  command(node: Command, place: Place): void {
    this.#spend(node.suffix.length)
    this.#checkGaps(node, place)
    const words = this.#words(place)
    const scope = this.#scope(place)
    const args: Arg[] = node.name ? expandWord(node.name, words) : []
    for (const item of node.args) {
      if (item.type === 'Assignment') args.push(expandAssignment(item, words))
      else for (const arg of expandWord(item, words)) args.push(arg)
    }
    const name = args[0]?.kind === 'constant' ? args[0].text : undefined
    for (const prefix of node.prefix) if (prefix.type === 'Assignment') this.#prefixAssignment(prefix, name, place)
    for (const redirect of node.redirects) vetRedirect(redirect, scope, words, name === 'exec' && args.length === 1)
    this.#latent(node, name, args)
    if (args.length > 0) this.#run(args, place)
    else if (node.name) this.#find('dynamic-name', 'the line', 'has a command name that is empty')
    if (node.name) this.#visit(node.name, place)
    for (const item of node.suffix) this.#visit(item, place)
    for (const prefix of node.prefix) this.#visit(prefix, place)
  }

  #prefixAssignment(node: Assignment, command: string | undefined, place: Place): void {
    // `IFS= read -r line` is how everybody reads lines, and ends with the read.
    if (node.name === 'IFS' && command === 'read') return
    const refusal = command === undefined ? undefined : refuseExport(node.name)
    if (refusal !== undefined) this.#find('variable', command ?? '', refusal)
    this.assignment(node, command ?? 'assignment', place)
  }

  assignment(node: Assignment, command: string, place: Place): void {
    const scope = this.#scope(place)
    if (isArray(node.value)) {
      scope.assign(node.name, undefined, command)
      return
    }
    const value = expandAssignment(node, this.#words(place))
    const skip = node.index ? -1 : value.prefix.indexOf('=') + 1
    const numeric = numberSource(node.value)
    if (numeric !== 'other' && !node.append) this.#numbers.set(node.name, worse(this.#numbers.get(node.name), numeric))
    scope.assign(node.name, skip > 0 ? { ...value, text: value.text.slice(skip), prefix: value.prefix.slice(skip) } : undefined, command, numeric !== 'other')
  }

  /** Subscripts in constant text: vetted as commands, wherever the text goes. awk and sed have subscripts of their own. */
  #latent(node: Command, name: string | undefined, args: readonly Arg[]): void {
    if (name !== undefined && /^[gmn]?awk$|^g?sed$|^grep$|^jq$/.test(name)) return
    const texts = args.map((arg) => arg.text)
    for (const prefix of node.prefix) if (prefix.type === 'Assignment' && !isArray(prefix.value)) texts.push(prefix.value.value)
    for (const redirect of node.redirects) texts.push(redirectText(redirect))
    for (const text of texts) this.latentText(text)
  }
  latentText(text: string): void {
    if (this.#context.dialect !== 'bash') return
    const place: Place = { source: text, depth: this.#context.limits.depth, dialect: 'bash', nested: true, loop: true }
    for (const hidden of hiddenScripts(text)) {
      if (hidden === undefined) this.#find('hidden', 'the line', `holds a subscript in which a command may hide (${short(text)})`)
      else this.#script(hidden, 'bash', 'a subscript', place)
    }
  }

  /** A node that reads a variable or a text as arithmetic. */
  arithmeticName(name: string): void {
    if (this.#context.dialect !== 'bash' || isShellNumber(name) || this.#inArithmetic.has(name)) return
    this.#inArithmetic.add(name)
    this.#later.push(() => {
      const values = this.#values.get(name)
      if (!values) {
        this.#find('unproven', 'arithmetic', `reads ${name}, whose value is not part of the line`)
        return
      }
      if (values.every((value) => value !== undefined && isNumeric(value))) {
        if (this.#numbers.get(name) === 'loose') this.#find('unproven', 'arithmetic', `reads ${name}, whose value is not surely a number`)
        return
      }
      this.#find('hidden', 'arithmetic', `reads ${name}, in whose value a command may hide`)
    })
  }
  arithmeticText(text: string): void {
    if (/[$`]/.test(text)) this.#find('hidden', 'arithmetic', `reads a text in which a command may hide (${short(text)})`)
    for (const name of namesIn(text)) this.arithmeticName(name)
  }
  /** An operand of arithmetic that is a word: `$x`, `$(cmd)`, `3`, `x`. */
  arithmeticWord(word: Pick<Word, 'parts'> & { readonly value: string }): void {
    if (!word.parts) {
      this.arithmeticText(word.value)
      return
    }
    for (const part of word.parts) {
      if (part.type === 'SimpleExpansion') this.#arithmeticVariable(part.text.slice(1))
      else if (part.type === 'ParameterExpansion') {
        if (part.prefix !== '#') this.#arithmeticVariable(part.parameter, part.operation !== undefined)
      } else if (part.type === 'CommandExpansion') this.#arithmeticOutput(scriptSource(part.script))
      else if (part.type === 'DoubleQuoted') this.arithmeticWord({ parts: part.parts, value: '' })
      else if ('value' in part) this.arithmeticText(part.value)
    }
  }
  #arithmeticVariable(name: string, changed = false): void {
    if (this.#context.dialect !== 'bash' || /^[#?$!]$/.test(name)) return
    if (changed || !isName(name)) this.#find('unproven', 'arithmetic', `reads $${name}, whose value is not part of the line`)
    else this.arithmeticName(name)
  }
  #arithmeticOutput(source: 'strict' | 'loose' | 'other'): void {
    if (this.#context.dialect !== 'bash' || source === 'strict') return
    if (source === 'loose') this.#find('unproven', 'arithmetic', 'reads the output of a command, which is not surely a number')
    else this.#find('hidden', 'arithmetic', 'reads the output of a command, in which another may hide')
  }

  /** `name` is set by the syntax itself: a loop, `${x:=..}`, `((x=..))`. */
  assignName(name: string, value: Arg | undefined, what: string, place: Place): void {
    if (isName(name)) this.#scope(place).assign(name, value, what)
    else this.#find('variable', what, `sets a variable whose name is not plain (${name})`)
  }
  report(cause: Cause, command: string, found: string): void {
    this.#find(cause, command, found)
  }
  expand(word: Word, place: Place): Arg[] {
    return expandWord(word, this.#words(place))
  }
  redirect(node: Redirection, place: Place): void {
    vetRedirect(node, this.#scope(place), this.#words(place), false)
    this.latentText(redirectText(node))
  }
  children(node: SyntaxNode, place: Place): void {
    this.#children(node, place)
  }
  visit(node: SyntaxNode, place: Place): void {
    this.#visit(node, place)
  }

  // ---------------------------------------------------------------- commands

  #run(argv: readonly Arg[], place: Place): void {
    if (place.depth > this.#context.limits.depth) {
      this.#find('too-much', 'the line', `has more than ${this.#context.limits.depth} commands inside each other`)
      return
    }
    if (this.#invocations.length >= this.#context.limits.commands) throw new TooMuch()
    const [first, ...args] = argv
    if (!first) return
    if (first.kind !== 'constant' || first.text === '') {
      this.#find('dynamic-name', 'the line', `has a command name that only the shell knows (${short(first.text)})`)
      return
    }
    if (/^!.|^\^.+\^/.test(first.text)) {
      // The guarded shell runs with history expansion off (set +H); whoever types this means another command than its text.
      this.#find('dynamic-name', short(first.text), 'would be expanded from the history, which this shell does not do')
      return
    }
    if (first.text.startsWith('-')) {
      // `time -v rm`: a program where bash has a keyword.
      this.#find('dynamic-name', short(first.text), 'is an option of something that may run what follows')
      return
    }
    const name = this.#programName(first.text)
    if (name === undefined) return
    const builtin = first.text.includes('/') ? undefined : BUILTINS.get(name)
    const wrapper = WRAPPERS.get(name)
    const call: Call = { name, args }
    this.#invocations.push({
      ...call,
      free: builtin?.free ?? (wrapper?.builtin === true && !first.text.includes('/')),
      transparent: wrapper?.transparent ?? false,
      nested: place.nested,
    })
    const scope = this.#scope(place)
    const vet = builtin?.vet ?? wrapper?.vet ?? programVet(name)
    // What a wrapper runs comes by here itself.
    if (!wrapper || name === 'find') this.#checkDescriptors(name, openedDescriptor(call, this.#directories))
    this.#printsDescriptors ||= printsDescriptors(call, this.#directories)
    if (!wrapper && !builtin) this.#later.push(() => this.#checkUnproven(call))
    vet?.(call, scope)
    for (const file of writtenFiles(call)) this.#writeByProgram(file, name)
    for (const file of linkedFiles(call)) {
      if (this.#resolve(file.text).some(isProtectedPlace))
        this.#find('protected-output', name, `gives another name to ${short(file.text)}, which belongs to programs or the system`)
    }
    for (const file of madeOptionNames(call)) this.#find('protected-output', name, `makes a file whose name is an option (${short(file.text)})`)
    const output = redirectedOutput(call)
    if (output) this.#write(output, name)
  }

  /** The shell's own source is one of the open files that /proc lists. */
  #checkDescriptors(command: string, opened: Arg | undefined): void {
    if (opened) this.#find('shell-state', command, `opens ${short(opened.text)}, where a process keeps its open files`)
  }

  #checkUnproven(call: Call): void {
    const arg = unprovenDescriptor(call, (variable) => this.#valuesOf(variable))
    if (arg) this.#find('unproven', call.name, `may open any file, because only the shell knows ${short(arg.text)}; write its name, or a folder before it`)
  }

  /** The name without its directory; undefined, and reported, when the directory is not one of programs. */
  #programName(text: string): string | undefined {
    if (!text.includes('/')) return text
    const cut = text.replace(/\/+/g, '/').replace(/\/\.(?=\/)/g, '')
    const slash = cut.lastIndexOf('/')
    if (PROGRAM_DIRECTORIES.has(cut.slice(0, slash)) && slash < cut.length - 1) return cut.slice(slash + 1)
    this.#find('foreign-program', short(text), 'is not in a directory of programs')
    return undefined
  }

  /** Text that a shell would read as commands. */
  #script(text: string, dialect: Dialect, command: string, place: Place): void {
    if (place.depth > this.#context.limits.depth) {
      this.#find('too-much', 'the line', `has more than ${this.#context.limits.depth} commands inside each other`)
      return
    }
    // A node for every 16 characters that are parsed again: `eval eval eval …` would parse a long line once per depth.
    this.#spend(text.length >> 4)
    const parsed = parseScript(text)
    if (parsed.kind !== 'whole') {
      this.#find('syntax', command, `has a text that cannot be read: ${parsed.reason}`)
      return
    }
    this.#statements(parsed.script.commands, { ...place, source: text, dialect, nested: true })
  }

  #write(path: Arg, command: string): void {
    const { prefix, kind, text } = path
    if (kind === 'constant' && text === '/dev/null') return
    this.#find('output', command, `writes ${short(text)}`)
    if (reachesDescriptor(path, this.#directories)) this.#checkDescriptors(command, path)
    if (isOptionName(text)) this.#find('protected-output', command, `makes a file whose name is an option (${short(text)})`)
    const settled = kind === 'constant' ? text.startsWith('/') || this.#directories !== undefined : this.#isSettled(prefix)
    if (!settled) this.#writeAnywhere(path, command)
    else if (this.#resolve(kind === 'constant' ? text : `${prefix}x`).some(isProtected)) {
      this.#find('protected-output', command, `writes ${short(text)}, which belongs to programs or the system`)
    }
  }
  /** Whether a constant beginning settles in which directory a file is. */
  #isSettled(prefix: string): boolean {
    if (!prefix.startsWith('/')) return prefix !== '' && this.#directories !== undefined
    return /^\/[^/]+\//.test(prefix) && !/^\/[^/]*$/.test(absolute(`${prefix}x`, '/'))
  }
  #writeAnywhere(path: Arg, command: string): void {
    this.#later.push(() => {
      const values = path.variable === undefined ? undefined : this.#valuesOf(path.variable)
      const harmless = values?.every((value) => value.kind === 'constant' && value.text !== '' && !this.#resolve(value.text).some(isProtected))
      if (!harmless) this.#find('protected-output', command, `writes a file whose directory only the shell knows (${short(path.text)})`)
    })
  }
  /** Only what is surely protected: a program's arguments are often dynamic and seldom there. */
  #writeByProgram(path: Arg, name: string): void {
    const known = path.kind === 'constant' ? path.text : path.prefix
    if (known !== '' && this.#resolve(known).some(isProtected))
      this.#find('protected-output', name, `writes ${short(path.text)}, which belongs to programs or the system`)
  }
  #resolve(path: string): string[] {
    return (path.startsWith('/') ? [this.#context.cwd] : (this.#directories ?? [])).map((directory) => absolute(path, directory))
  }

  #changeDirectory(path: Arg | undefined, place: Place): void {
    if (path?.kind !== 'constant' || this.#directories === undefined || (place.loop && !path.text.startsWith('/'))) {
      this.#directories = undefined
      return
    }
    const next = new Set([...this.#directories, ...this.#resolve(path.text)])
    this.#directories = next.size > MAX_DIRECTORIES ? undefined : [...next]
  }

  #assign(name: string, value: Arg | undefined, command: string, numeric: boolean): void {
    const refusal = refuseAssignment(name, value?.kind === 'constant' ? value.text : undefined)
    if (refusal !== undefined) this.#find('variable', command, refusal)
    if (value && reachesDescriptor(value, undefined)) this.#checkDescriptors(command, value)
    const known = this.#values.get(name)
    const stored = numeric && value?.kind !== 'constant' ? constant('0') : value
    if (known) known.push(stored)
    else this.#values.set(name, [stored])
    if (value) this.latentText(value.text)
  }
  #valuesOf(variable: string): readonly Arg[] | undefined {
    const values = this.#values.get(variable)
    return values?.every((value) => value !== undefined && value.kind !== 'dynamic') ? (values as Arg[]) : undefined
  }

  /** One for all commands of a place: making one costs as much as vetting a short command. */
  #scope(place: Place): RedirectScope {
    const known = this.#scopes.get(place)
    if (known) return known
    const made = this.#makeScope(place)
    this.#scopes.set(place, made)
    return made
  }
  #makeScope(place: Place): RedirectScope {
    const deeper: Place = { ...place, depth: place.depth + 1 }
    return {
      dialect: place.dialect,
      find: (cause, command, found) => this.#find(cause, command, found),
      run: (argv) => this.#run(argv, deeper),
      script: (text, dialect, command) => this.#script(text, dialect, command, deeper),
      assign: (name, value, command, numeric = false) => this.#assign(name, value, command, numeric),
      // Read as bash would: closing early in it would show as commands, which are vetted too.
      arithmetic: (text, command) => this.#script(`((${text}))`, 'bash', command, deeper),
      write: (path, command) => this.#write(path, command),
      read: (path) => {
        this.#reads.push(path)
        if (reachesDescriptor(path, this.#directories)) this.#checkDescriptors('redirection', path)
        this.#later.push(() => this.#checkUnproven({ name: 'redirection', args: [path] }))
      },
      changeDirectory: (path) => this.#changeDirectory(path, place),
      isCommand: (name) => isCommand(name),
      later: (check) => this.#later.push(check),
      valuesOf: (variable) => this.#valuesOf(variable),
    }
  }
}

function worse(known: 'strict' | 'loose' | undefined, next: 'strict' | 'loose'): 'strict' | 'loose' {
  return known === 'loose' ? known : next
}
function isCommand(name: string): boolean {
  return BUILTINS.has(name) || WRAPPERS.has(name) || isKnownProgram(name)
}
function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
function redirectText(redirect: Redirection): string {
  if (redirect.type === 'HereDoc') return redirect.body.text
  return redirect.target?.value ?? ''
}

type Visit<T extends SyntaxNode['type']> = (walk: Walk, node: Extract<SyntaxNode, { type: T }>, place: Place) => void

/** Node types that mean something by themselves; of all others only the children count. */
const VISITS: { readonly [T in SyntaxNode['type']]?: Visit<T> } = {
  Command: (walk, node, place) => walk.command(node, place),
  Assignment: (walk, node, place) => {
    walk.children(node, place)
    if (node.index) walk.arithmeticWord(node.index)
    if (isArray(node.value)) for (const element of node.value.elements) walk.latentText(element.value)
  },
  Redirect: (walk, node, place) => walk.children(node, place),
  Redirected: (walk, node, place) => {
    for (const redirect of node.redirects) walk.redirect(redirect, place)
    walk.children(node, place)
  },
  HereDoc: (walk, node, place) => {
    const { delimiter } = node
    if (isOpen(node)) walk.report('syntax', 'the line', 'has a here-document that is not closed')
    if (!delimiter || !/^(?:\\?[\w.-]+|'[\w .-]+'|"[\w .-]+")$/.test(delimiter.text))
      walk.report('dialect', 'the line', 'ends a here-document with a word that is not plain')
    // Lines that a backslash joins may hide the closing word from one shell and not from another.
    else if (!delimiter.quoted && /\\\n/.test(node.body.text)) walk.report('dialect', 'the line', 'has a here-document whose lines are joined by a backslash')
    else walk.children(node, place)
  },
  Function: (walk, node, place) => {
    const name = node.name.text
    walk.report('function', 'the line', `defines the function ${short(name)}`)
    if (!isName(name)) walk.report('bad-function', 'the line', `defines a function with the name ${short(name)}`)
    else if (isCommand(name)) walk.report('bad-function', 'the line', `defines the function ${name}, which hides a command`)
    if (node.body.type === 'CompoundList') walk.report('syntax', 'the line', 'has a function without a body')
    walk.visit(node.body, { ...place, loop: true })
  },
  For: (walk, node, place) => {
    const values = node.wordlist?.flatMap((word) => walk.expand(word, place)) ?? [unknownArg(true)]
    for (const value of values.length > 0 ? values : [constant('')])
      walk.assignName(node.name.text, isNumberList(value, node.wordlist) ? constant('0') : value, 'for', place)
    walk.children(node, { ...place, loop: true })
  },
  Select: (walk, node, place) => {
    walk.assignName(node.name.text, undefined, 'select', place)
    walk.children(node, { ...place, loop: true })
  },
  While: (walk, node, place) => walk.children(node, { ...place, loop: true }),
  Coproc: (walk, node, place) => {
    walk.assignName(node.name?.text ?? 'COPROC', undefined, 'coproc', place)
    walk.visit(node.body, place)
  },
  ArithmeticCommand: (walk, node, place) => {
    if (!node.expression && node.body.trim() !== '') walk.report('syntax', 'the line', 'has arithmetic that cannot be read')
    walk.children(node, place)
  },
  ArithmeticExpansion: (walk, node, place) => {
    // Looking at the expression parses it, which takes long for a long one.
    if (node.text.length > MAX_ARITHMETIC) {
      walk.report('too-much', 'arithmetic', 'is too long to vet')
      return
    }
    if (!node.expression && node.text.replace(/^\$\(\(|^\$\[|\)\)$|\]$/g, '').trim() !== '')
      walk.report('syntax', 'the line', 'has arithmetic that cannot be read')
    walk.children(node, place)
  },
  ArithmeticFor: (walk, node, place) => walk.children(node, { ...place, loop: true }),
  ArithmeticWord: (walk, node, place) => {
    walk.arithmeticWord(node)
    walk.children(node, place)
  },
  ArithmeticBinary: (walk, node, place) => {
    const assigns = /^(?:[-+*/%&|^]|<<|>>)?=$/.test(node.operator)
    if (assigns) for (const name of assignedNames(node.left)) walk.assignName(name, constant('0'), 'arithmetic', place)
    walk.children(node, place)
  },
  ArithmeticUnary: (walk, node, place) => {
    if (node.operator === '++' || node.operator === '--') {
      for (const name of assignedNames(node.operand)) walk.assignName(name, constant('0'), 'arithmetic', place)
    }
    walk.children(node, place)
  },
  ArithmeticCommandExpansion: (walk, node, place) => {
    walk.nestedScript(node.script, node.text.startsWith('$((') ? '' : node.text, place)
    if (scriptSource(node.script) !== 'strict') {
      walk.report(scriptSource(node.script) === 'loose' ? 'unproven' : 'hidden', 'arithmetic', 'reads the output of a command, in which another may hide')
    }
  },
  TestUnary: (walk, node, place) => {
    const operand = walk.expand(node.operand, place)[0]
    if ((node.operator === '-v' || node.operator === '-R') && !(operand?.kind === 'constant' && /^[A-Za-z_]\w*(?:\[\w*\])?$/.test(operand.text))) {
      walk.report('hidden', '[[', `${node.operator} reads a name in which a command may hide`)
    }
    walk.children(node, place)
  },
  TestBinary: (walk, node, place) => {
    if (/^-(?:eq|ne|lt|le|gt|ge)$/.test(node.operator)) for (const word of [node.left, node.right]) walk.arithmeticWord(word)
    // The pattern side of == is matched as an extended glob whatever extglob says; its parts are visited like any word's.
    walk.children(node, place)
  },
  CommandExpansion: (walk, node, place) => walk.nestedScript(node.script, node.text, place),
  ProcessSubstitution: (walk, node, place) => walk.nestedScript(node.script, '', place),
  ParameterExpansion: (walk, node, place) => {
    if (node.prefix === '!' && !listsNames(node)) walk.report('hidden', 'the line', `reads a variable by the value of another (${short(node.text)})`)
    if (node.index && node.index.text !== '@' && node.index.text !== '*') walk.arithmeticWord(node.index)
    const { operation } = node
    if (operation?.type === 'Unknown') walk.report('syntax', 'the line', `has an expansion that cannot be read (${short(node.text)})`)
    if (operation?.type === 'Transform' && !/^[QULuAaKk]$/.test(operation.operand.text))
      walk.report('hidden', 'the line', `expands a value again (${short(node.text)})`)
    if (operation?.type === 'Slice') for (const word of [operation.offset, operation.length]) if (word) walk.arithmeticWord(word)
    if (operation?.type === 'Default' && operation.operator.endsWith('=')) {
      const value = walk.expand(operation.operand, place)
      walk.assignName(node.parameter, value.length === 1 ? value[0] : undefined, 'the line', place)
    }
    walk.children(node, place)
  },
  ExtendedGlob: (walk, node) => walk.report('dialect', 'the line', `uses ${short(node.text)}, which depends on a shell option`),
  LocaleString: (walk) => walk.report('dialect', 'the line', 'uses $"..", which is translated'),
  Literal: (walk, node) => checkLeaf(walk, node.text),
  Word: (walk, node, place) => {
    if (!node.parts) checkLeaf(walk, node.text)
    walk.children(node, place)
  },
}

/** `${!a[@]}` and `${!prefix*}` list keys and names; they do not read through them. */
function listsNames(node: ParameterExpansionPart): boolean {
  if (node.operation) return node.operation.type === 'Names'
  return node.index?.text === '@' || node.index?.text === '*'
}
/** An expansion that the parser left in plain text would run unseen. */
function checkLeaf(walk: Walk, text: string): void {
  if (text.includes('$') || text.includes('`')) {
    if (/(?<!\\)(?:\\\\)*(?:\$[({[]|`)/.test(text)) walk.report('syntax', 'the line', `has an expansion that cannot be read (${short(text)})`)
  }
}
/** `$(seq 1 5)` in a loop's list. */
function isNumberList(value: Arg, list: readonly Word[] | undefined): boolean {
  return value.kind === 'dynamic' && list !== undefined && list.length === 1 && list.every((word) => numberSource(word) === 'strict')
}
function assignedNames(node: SyntaxNode): string[] {
  return node.type === 'ArithmeticWord' ? [/^[A-Za-z_]\w*/.exec(node.value)?.[0] ?? node.value] : ['?']
}

const NOT_POSIX: { readonly [T in SyntaxNode['type']]?: string } = {
  AnsiCQuoted: "$'..'",
  LocaleString: '$".."',
  ProcessSubstitution: '<(..)',
  ExtendedGlob: 'an extended glob',
  BraceExpansion: '{a,b}',
  TestCommand: '[[',
  ArithmeticCommand: '((',
  ArithmeticFor: 'for ((',
  Select: 'select',
  Coproc: 'coproc',
  ArrayValue: 'an array',
  HereString: '<<<',
}
