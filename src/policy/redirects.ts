/** Redirections: files that a line writes or reads without a command's help, and descriptors that belong to the guarded shell. */
import type { Redirect, Redirection } from 'unbash'
import type { Scope } from './scope.js'
import { isName } from './variables.js'
import { type Arg, expandWord, type WordContext } from './words.js'

/** bash and dash keep their own copy of standard input at 10 and above: for the guarded shell that is the command stream. */
const FIRST_SHELL_DESCRIPTOR = 10

export interface RedirectScope extends Scope {
  /** The line reads the file that `path` names. */
  read(path: Arg): void
}

const OUTPUT: ReadonlySet<string> = new Set(['>', '>>', '>|', '&>', '&>>', '<>'])
/** What POSIX has; the others are commands of another meaning in dash. */
const POSIX_OPERATORS: ReadonlySet<string> = new Set(['>', '>>', '>|', '<', '<>', '<&', '>&', '<<', '<<-'])

export function vetRedirect(redirect: Redirection, scope: RedirectScope, words: WordContext, forExec: boolean): void {
  const say = (cause: 'dialect' | 'shell-state' | 'variable' | 'protected-output' | 'dynamic-name', found: string): void =>
    scope.find(cause, 'redirection', found)
  if (scope.dialect === 'posix' && !POSIX_OPERATORS.has(redirect.operator)) {
    say('dialect', `${redirect.operator} means something else in this shell`)
    return
  }
  const { descriptor } = redirect
  if (descriptor?.type === 'FileDescriptorVariable') {
    if (scope.dialect === 'posix') {
      say('dialect', '{name} before a redirection means something else in this shell')
      return
    }
    if (!isName(descriptor.name)) {
      say('variable', 'keeps a descriptor in a name that is not plain')
      return
    }
    scope.assign(descriptor.name, undefined, 'redirection')
  }
  const number = descriptor?.type === 'FileDescriptor' ? descriptor.value : undefined
  if (number !== undefined && number >= FIRST_SHELL_DESCRIPTOR) {
    say('shell-state', `descriptor ${number} belongs to the shell`)
    return
  }
  if (forExec && (number ?? 0) <= 2 && descriptor?.type !== 'FileDescriptorVariable') {
    say('shell-state', 'exec would cut this shell off from its terminal')
  }
  if (redirect.type === 'Redirect') vetFile(redirect, scope, words)
}

function vetFile(redirect: Redirect, scope: RedirectScope, words: WordContext): void {
  const targets = redirect.target ? expandWord(redirect.target, words) : []
  const [target] = targets
  if (!target || targets.length !== 1) {
    scope.find('syntax', 'redirection', 'has no single target')
    return
  }
  const { operator } = redirect
  if (operator === '<&' || operator === '>&') {
    if (target.kind === 'constant' && /^(?:\d+-?|-)$/.test(target.text)) {
      if (Number.parseInt(target.text, 10) >= FIRST_SHELL_DESCRIPTOR) scope.find('shell-state', 'redirection', `descriptor ${target.text} belongs to the shell`)
      return
    }
    if (operator === '<&' || target.kind !== 'constant') {
      scope.find('dynamic-name', 'redirection', `copies a descriptor that only the shell knows (${target.text})`)
      return
    }
    if (scope.dialect === 'posix') {
      scope.find('dialect', 'redirection', '>& with a file means something else in this shell')
      return
    }
    scope.write(target, 'redirection')
    return
  }
  if (/^\/dev\/(?:tcp|udp)(?:\/|$)/.test(target.text)) {
    scope.find('protected-output', 'redirection', 'opens a network connection')
    return
  }
  if (OUTPUT.has(operator)) scope.write(target, 'redirection')
  if (operator === '<' || operator === '<>') scope.read(target)
}
