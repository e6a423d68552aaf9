/**
 * Transfers against the `files` part of a rule: direction, path, size, count, type. Pure; who moves the bytes asks for each
 * operation, with the path as it was given and again with links resolved, and while bytes flow with where they have come to.
 */
import { posix } from 'node:path'
import { escapePeerText } from '../core/log.js'
import type { FileRule, Question } from '../core/types.js'
import { sizeText } from '../core/units.js'
import { compileGlobs, compileRests, type Glob, type Rests } from './globs.js'
import { absolute } from './paths.js'
import type { Rule } from './rules.js'

export type TransferQuestion = Question & { readonly kind: 'transfer' }
/** Why a transfer may not be; undefined when it may. */
export type VetTransfer = (question: TransferQuestion) => string | undefined

/** A list of allowed commands without a word about files allows none: an upload is a command that nobody listed. */
const NO_FILES: FileRule = { upload: false, download: false, denyPaths: [] }
/** What a rule says of files; undefined: nothing, so all is allowed. */
export function effectiveFiles(rule: Rule): FileRule | undefined {
  return rule.files ?? (rule.commands?.mode === 'allow' ? NO_FILES : undefined)
}

interface Compiled {
  readonly files: FileRule
  readonly denied: Glob
  readonly deniedRests: Rests
  readonly allowed: Glob | undefined
  readonly allowedRests: Rests | undefined
}

export function compileFileRule(files: FileRule): VetTransfer {
  const { denyPaths, allowPaths } = files
  const compiled = {
    files,
    denied: compileGlobs(denyPaths),
    deniedRests: compileRests(denyPaths),
    allowed: allowPaths && compileGlobs(allowPaths),
    allowedRests: allowPaths && compileRests(allowPaths),
  }
  return (question) => whyNotDirection(files, question) ?? whyNotPaths(compiled, question) ?? whyNotAmount(files, question)
}

const LOOKS: ReadonlySet<string> = new Set(['list', 'stat'])

function whyNotDirection(files: FileRule, { direction, op = direction, type }: TransferQuestion): string | undefined {
  // names and attributes belong to either direction: no client can put a file without asking for them
  const may = LOOKS.has(op) ? files.upload || files.download : files[direction]
  if (!may) return `the rule allows no ${LOOKS.has(op) ? 'transfers' : `${direction}s`}`
  if (type !== undefined && direction === 'upload' && op !== 'rename' && files.types && !files.types.includes(type))
    return `the rule allows no uploads of type ${type}`
  return undefined
}

function whyNotPaths(compiled: Compiled, question: TransferQuestion): string | undefined {
  const { path, to, op } = question
  if (!compiled.allowed && compiled.files.denyPaths.length === 0) return undefined
  const why = whyNotPath(compiled, path, op === 'stat') ?? (to === undefined ? undefined : whyNotPath(compiled, to, false))
  if (why !== undefined || op !== 'rename' || to === undefined || question.type !== 'directory') return why
  return whyNotMove(compiled, path, to)
}

function whyNotPath({ denied, allowed, allowedRests }: Compiled, path: string, isLook: boolean): string | undefined {
  if (!path.startsWith('/')) return 'a path that is not absolute cannot be compared with the rule'
  // an alias such as /proc/self/root may stand for the same file: neither spelling may be denied
  const spellings = [normal(path), absolute(path, '/')]
  const shown = escapePeerText(path, 1024)
  if (spellings.some((each) => covers(denied, each))) return `the rule keeps ${shown} from transfers`
  if (!allowed || spellings.every((each) => covers(allowed, each))) return undefined
  // the way to an allowed place may be looked at, else no client would find it
  const isOnTheWay = isLook && spellings.every((each) => (allowedRests?.(below(each)).size ?? 0) > 0)
  return isOnTheWay ? undefined : `${shown} is not among the paths of the rule`
}

/** A folder that moves takes along what lies below: nothing denied may lose its name, nothing may gain an allowed one. */
function whyNotMove({ deniedRests, allowedRests }: Compiled, from: string, to: string): string | undefined {
  const [before, after] = [below(normal(from)), below(normal(to))]
  const isKept = isSubset(deniedRests(before), deniedRests(after)) && (!allowedRests || isSubset(allowedRests(after), allowedRests(before)))
  return isKept ? undefined : `${escapePeerText(from, 1024)} may hold paths that the rule keeps from transfers`
}

function isSubset(some: ReadonlySet<string>, all: ReadonlySet<string>): boolean {
  return [...some].every((each) => all.has(each))
}

function whyNotAmount(files: FileRule, { direction, op = direction, bytes, count }: TransferQuestion): string | undefined {
  if (LOOKS.has(op)) return undefined
  if (files.maxFiles !== undefined && count !== undefined && !(count <= files.maxFiles)) return `the rule allows ${files.maxFiles} files per session`
  const limit = direction === 'upload' ? files.maxUpload : files.maxDownload
  if (limit === undefined || bytes === undefined) return undefined
  return bytes <= limit ? undefined : `${sizeText(bytes)} is more than the ${sizeText(limit)} that the rule allows per ${direction}`
}

/** The path as it would be opened: "." and ".." resolved, doubled slashes joined. */
function normal(path: string): string {
  return posix
    .normalize(path)
    .replace(/^\/\//, '/')
    .replace(/(?<=.)\/+$/, '')
}
function below(path: string): string {
  return path === '/' ? path : `${path}/`
}
/** A folder is compared with its slash too, so that `/etc/*` keeps /etc itself from being renamed or removed. */
function covers(glob: Glob, path: string): boolean {
  return glob(path) || glob(below(path))
}
