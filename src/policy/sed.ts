/**
 * sed: harmless when its script is written in the line and has no `e` command, no `e` flag, and writes no file but those
 * that a redirection might. The script is read command by command; what is not understood is opaque.
 */
import { readOptions } from './options.js'
import type { Call, Scope } from './scope.js'
import { type Arg, constant } from './words.js'

const OPTIONS = {
  flags: 'nrEsuz',
  valued: 'el',
  optional: 'i',
  long: ['quiet', 'silent', 'regexp-extended', 'separate', 'unbuffered', 'null-data', 'posix', 'sandbox', 'version', 'debug', 'follow-symlinks'],
  longValued: ['expression', 'line-length'],
  longOptional: ['in-place'],
}

export function vetSed({ name, args }: Call, scope: Scope): void {
  const read = readOptions(args, OPTIONS)
  if ('unread' in read) {
    scope.find('opaque', name, `has ${read.unread}, so its script is not known`)
    return
  }
  const expressions = read.options.filter((option) => option.name === 'e' || option.name === 'expression')
  const scripts: readonly (Arg | undefined)[] = expressions.length > 0 ? expressions.map((option) => option.value) : read.operands.slice(0, 1)
  const files = expressions.length > 0 ? read.operands : read.operands.slice(1)
  // GNU sed reads options after operands too: the same rule holds for them.
  if (files.some((arg) => arg.text.startsWith('-') && arg.text !== '-')) {
    const late = readOptions(
      files.filter((arg) => arg.text.startsWith('-')),
      { ...OPTIONS, valued: 'l' },
    )
    if ('unread' in late || late.options.some((option) => option.value)) {
      scope.find('opaque', name, 'has options after its files')
      return
    }
  }
  if (files.some((arg) => arg.kind === 'dynamic' && arg.prefix === '' && arg.splits)) scope.find('unproven', name, 'has an argument that may become an option')
  if (read.options.some((option) => option.name === 'i' || option.name === 'in-place')) {
    for (const file of files.length > 0 ? files : []) scope.write(file, name)
  }
  if (read.options.some((option) => option.name === 'sandbox')) return
  if (scripts.some((script) => script?.kind !== 'constant')) {
    vetDynamic(scripts, name, scope)
    return
  }
  const script = scripts.map((text) => text?.text ?? '').join('\n')
  const fault = readScript(script, (path) => scope.write(constant(path), name))
  if (fault !== undefined) scope.find('opaque', name, fault)
}
function vetDynamic(scripts: readonly (Arg | undefined)[], name: string, scope: Scope): void {
  if (scripts.length > 0) scope.find('opaque', name, 'has a script that only the shell knows')
}

/** What makes the script more than text editing; undefined when nothing does. */
function readScript(script: string, write: (path: string) => void): string | undefined {
  let at = 0
  while (at < script.length) {
    const blank = /^[\s;{}]+/.exec(script.slice(at))
    if (blank) {
      at += blank[0].length
      continue
    }
    if (script[at] === '#') {
      at = endOfLine(script, at)
      continue
    }
    const afterAddress = skipAddresses(script, at)
    if (afterAddress < 0) return 'has a script that cannot be read'
    at = afterAddress
    const command = script[at] ?? ''
    at++
    if (command === '{' || command === '}' || command === '') continue
    if ('dDgGhHnNpPxzF='.includes(command)) continue
    if ('qQlL'.includes(command)) at += /^\s*\d*/.exec(script.slice(at))?.[0].length ?? 0
    else if ('btT:'.includes(command)) at += /^[^\n;}]*/.exec(script.slice(at))?.[0].length ?? 0
    else if ('aic'.includes(command)) at = endOfText(script, at)
    else if ('rR'.includes(command)) at = endOfLine(script, at)
    else if ('wW'.includes(command)) {
      const end = endOfLine(script, at)
      writeTo(script.slice(at, end), write)
      at = end
    } else if (command === 's' || command === 'y') {
      const flags = endOfSubstitution(script, at)
      if (flags < 0) return 'has a script that cannot be read'
      const set = /^[gpiImM0-9]*/.exec(script.slice(flags))?.[0].length ?? 0
      at = flags + set
      const next = script[at]
      if (command === 's' && next === 'e') return 'has a script that runs a command (s///e)'
      if (command === 's' && next === 'w') {
        const end = endOfLine(script, at)
        writeTo(script.slice(at + 1, end), write)
        at = end
      } else if (next !== undefined && !/[\s;}#]/.test(next)) return 'has a script that cannot be read'
    } else return command === 'e' ? 'has a script that runs a command (e)' : 'has a script that cannot be read'
  }
  return undefined
}
function writeTo(text: string, write: (path: string) => void): void {
  const path = text.trim()
  if (!/^\/dev\/std(?:out|err)$/.test(path)) write(path)
}
function endOfLine(script: string, at: number): number {
  const end = script.indexOf('\n', at)
  return end < 0 ? script.length : end
}
/** The text of a, i, c: to the end of the line, and on where the line ends in a backslash. */
function endOfText(script: string, at: number): number {
  let end = at
  // One-liner `a text` and classic `a\` newline `text`.
  do end = endOfLine(script, end === at ? at : end + 1)
  while (end < script.length && /(?:^|[^\\])(?:\\\\)*\\$/.test(script.slice(at, end)))
  return end
}
/** Skips `addr[,addr][!]`; -1 when it cannot be read. */
function skipAddresses(script: string, start: number): number {
  let at = start
  for (let i = 0; i < 2; i++) {
    const simple = /^(?:\d+(?:~\d+)?|\$|[+~]\d+)/.exec(script.slice(at))
    if (simple) at += simple[0].length
    else if (script[at] === '/' || script[at] === '\\') {
      const open = script[at] === '\\' ? at + 1 : at
      const end = endOfPattern(script, open + 1, script[open] ?? '')
      if (end < 0) return -1
      at = end + (/^[IM]*/.exec(script.slice(end))?.[0].length ?? 0)
    }
    const comma = /^\s*,\s*/.exec(script.slice(at))
    if (!comma || i === 1) break
    at += comma[0].length
  }
  return at + (/^\s*!?\s*/.exec(script.slice(at))?.[0].length ?? 0)
}
/**
 * Index after the next `delimiter` that is neither escaped nor in a bracket: GNU and busybox sed both take `[^/]` whole. A sed
 * that did not would find a pattern with an open bracket, which is an error. Classes and escapes in such a bracket are read
 * differently (busybox 1.35), so a bracket with both is not read.
 */
function endOfPattern(script: string, start: number, delimiter: string): number {
  if (delimiter === '' || delimiter === '\n' || delimiter === '\\') return -1
  for (let i = start; i < script.length; i++) {
    const char = script[i]
    if (char === '\\') i++
    else if (char === delimiter) return i + 1
    else if (char === '[') {
      SET.lastIndex = i
      const set = SET.exec(script)?.[0]
      if (set === undefined) return -1
      if (set.includes(delimiter) && /[[\\]/.test(set.slice(1))) return -1
      i += set.length - 1
    }
  }
  return -1
}
/** A bracket with its classes: `[a]`, `[^]a]`, `[[:alpha:]_]`. */
const SET = /\[\^?\]?(?:\[[:.=][a-z]+[:.=]\]|[^\]\n])*\]/y
function endOfSubstitution(script: string, start: number): number {
  const delimiter = script[start] ?? ''
  const middle = endOfPattern(script, start + 1, delimiter)
  if (middle < 0) return -1
  for (let i = middle; i < script.length; i++) {
    if (script[i] === '\\') i++
    else if (script[i] === delimiter) return i + 1
  }
  return -1
}
