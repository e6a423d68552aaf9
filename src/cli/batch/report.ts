/** A finished batch for programs: JSON and JUnit. */
import { isUtf8 } from 'node:buffer'
import { batchExit, exitOf, type Outcome, outcomeText, succeeded } from './outcome.js'

export interface BatchFacts {
  /** The id over all of it; every exec carries it into the audit log. */
  readonly batch: string
  readonly command: readonly string[]
  readonly startedAt: Date
  readonly ms: number
}

/** `{batch, command, startedAt, ms, exit, counts, results: [{target, kind, exit, stdout, stderr, ...}]}`; output that is not UTF-8 as `stdoutBase64`. */
export function jsonReport<T extends { readonly id: string }>(facts: BatchFacts, outcomes: ReadonlyMap<T, Outcome>): object {
  return {
    batch: facts.batch,
    command: facts.command,
    startedAt: facts.startedAt.toISOString(),
    ms: facts.ms,
    exit: batchExit([...outcomes.values()]),
    counts: countKinds(outcomes.values()),
    results: [...outcomes].map(([item, outcome]) => ({ target: item.id, ...outcomeJson(outcome) })),
  }
}

/** How many of each kind; `exited` is split into `succeeded` and `nonZero`. */
export function countKinds(outcomes: Iterable<Outcome>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const outcome of outcomes) {
    const kind = outcome.kind !== 'exited' ? outcome.kind : succeeded(outcome) ? 'succeeded' : 'nonZero'
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

/** An outcome as JSON keeps it; `outcomeFromJson` reads it back. */
export function outcomeJson(outcome: Outcome): Record<string, unknown> {
  if (outcome.kind !== 'exited') return { ...outcome, exit: exitOf(outcome) }
  const { kind, code, ms, truncated } = outcome
  return { kind, exit: code, ms, ...(truncated && { truncated }), ...bytesJson('stdout', outcome.stdout), ...bytesJson('stderr', outcome.stderr) }
}

function bytesJson(key: string, bytes: Buffer): Record<string, string> {
  return isUtf8(bytes) ? { [key]: bytes.toString() } : { [`${key}Base64`]: bytes.toString('base64') }
}

/** JUnit XML as Jenkins and GitLab read it: one test case a pod. */
export function junitReport<T extends { readonly id: string }>(facts: BatchFacts, outcomes: ReadonlyMap<T, Outcome>): string {
  const cases = [...outcomes].map(([item, outcome]) => junitCase(item.id, outcome))
  const all = [...outcomes.values()]
  const failures = all.filter((one) => one.kind === 'exited' && one.code !== 0).length
  const skips = all.filter((one) => one.kind === 'skipped').length
  const errors = all.filter((one) => one.kind !== 'exited' && one.kind !== 'skipped').length
  const name = xml(`dockctl exec -- ${facts.command.join(' ')}`)
  const counts = `tests="${all.length}" failures="${failures}" errors="${errors}" skipped="${skips}" time="${facts.ms / 1000}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts}>\n<testsuite name="${name}" id="${xml(facts.batch)}" timestamp="${facts.startedAt.toISOString().slice(0, 19)}" ${counts}>\n${cases.join('')}</testsuite>\n</testsuites>\n`
}

function junitCase(id: string, outcome: Outcome): string {
  const at = id.lastIndexOf('/')
  const time = 'ms' in outcome ? ` time="${outcome.ms / 1000}"` : ''
  const head = `<testcase classname="${xml(id.slice(0, Math.max(0, at)).replaceAll('/', '.'))}" name="${xml(id.slice(at + 1))}"${time}>`
  return `${head}${verdictXml(outcome)}${outputXml(outcome)}</testcase>\n`
}

function verdictXml(outcome: Outcome): string {
  if (succeeded(outcome)) return ''
  const element = outcome.kind === 'exited' ? 'failure' : outcome.kind === 'skipped' ? 'skipped' : 'error'
  return `<${element} message="${xml(outcomeText(outcome))}"/>`
}

function outputXml(outcome: Outcome): string {
  if (outcome.kind !== 'exited') return ''
  const part = (element: string, bytes: Buffer) => (bytes.length === 0 ? '' : `<${element}>${xml(bytes.toString())}</${element}>`)
  return part('system-out', outcome.stdout) + part('system-err', outcome.stderr)
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

/** XML 1.0 s2.2: most controls and lone surrogates may not appear even as references; they become U+FFFD. */
function xml(text: string): string {
  return text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\p{Cs}]/gu, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
