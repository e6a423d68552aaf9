/**
 * Rules as contract.md writes them ("Config", `rules`), read into values. Everything is checked here, so that
 * policy.ts meets only rules it can decide by. Positions in the file are the config reader's business: zod's paths say
 * which key of which rule is wrong.
 */
import { z } from 'zod'
import type { Approvers, CommandRule, Dialect, FileRule, FileType, RecordRule, Role, ShellName } from '../core/types.js'
import { DOORS, type Door } from '../core/types.js'
import { parseDuration, parseSize } from '../core/units.js'
import { addressMistake } from './addresses.js'

/** Who may do what, where, and through which doors. First match wins, no match refuses. */
export interface Rule {
  readonly name: string
  /** Exact user names; the single "*" means every user. */
  readonly users: readonly string[]
  readonly groups: readonly string[]
  /** Addresses and networks from which people must come; absent: from anywhere. From elsewhere the rule is passed over. */
  readonly from?: readonly string[]
  /** The rule holds in any of these places. */
  readonly where: readonly Place[]
  /** Every door when the file does not say; but under a list of allowed commands `logs` only where it is named, as with files. */
  readonly doors: readonly Door[]
  /** Present: shells of this rule are guarded and every line is judged. */
  readonly commands?: CommandRule
  /**
   * What may be transferred. Absent: everything, except under a list of allowed commands, where nothing may (what is
   * not listed is refused there, and an upload is a command that nobody listed).
   */
  readonly files?: FileRule
  /** How its sessions are recorded, where it differs from `recording` of the gateway. */
  readonly record?: RecordRule
  /** Told to whom the rule refuses: whom to ask. */
  readonly message?: string
  /** Lines with the answer that the rule's author expects; `opserver check` and `opsctl rules test` ask them. */
  readonly examples?: Examples
}
export interface Examples {
  readonly allow: readonly Example[]
  readonly deny: readonly Example[]
  /** Lines that wait for the pod's name or another person. */
  readonly ask: readonly Example[]
}
/** A line; as if typed in `cwd` ("/" by default) to a shell of `dialect` (bash by default). */
export interface Example {
  readonly line: string
  readonly cwd?: string
  readonly dialect?: Dialect
}

/** A set of containers: one glob of each field must match, and every label. Fields left out match everything. */
export interface Place {
  readonly cluster: readonly string[]
  readonly namespace: readonly string[]
  readonly pod: readonly string[]
  readonly container: readonly string[]
  readonly labels: Readonly<Record<string, readonly string[]>>
}

const ROLES = ['user', 'auditor', 'admin'] as const satisfies readonly Role[]
const SHELLS = ['bash', 'dash', 'ash'] as const satisfies readonly ShellName[]

/** Text that a rule shows to people: no control characters, which could redraw a terminal or forge a log line. */
const shownText = (max: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(text), 'must not hold control or invisible characters')

const glob = z.string().min(1, 'must not be empty: "*" matches everything').max(1024, 'must be at most 1024 characters')
/** One glob or a list of them. */
const globs = z.union([glob, z.array(glob).min(1, 'must not be empty: leave the key out to match everything')]).transform((value) => [value].flat())
const absoluteGlob = glob.regex(/^[/*?[]/, 'must start with "/" or "*": paths are compared in absolute form')
const size = z.string('must be a size like 4MiB').transform((text, context) => {
  try {
    return parseSize(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
})
/**
 * Lets a check of a whole map run although one of its keys is wrong: every mistake is to be listed at once. Not where a
 * key is unknown, for then it is probably the one that the check would miss.
 */
const anyMap = {
  when: ({ value, issues }: { value: unknown; issues: readonly { code?: string | undefined }[] }) =>
    typeof value === 'object' && value !== null && issues.every(({ code }) => code !== 'unrecognized_keys'),
}

const place = z
  .strictObject({
    cluster: globs.exactOptional(),
    namespace: globs.exactOptional(),
    pod: globs.exactOptional(),
    container: globs.exactOptional(),
    labels: z.record(z.string(), globs).exactOptional(),
  })
  .refine((value) => Object.keys(value).length > 0, { ...anyMap, error: 'must not be empty: write cluster: "*" to mean everywhere' })
  .transform(
    (value): Place => ({
      cluster: value.cluster ?? ['*'],
      namespace: value.namespace ?? ['*'],
      pod: value.pod ?? ['*'],
      container: value.container ?? ['*'],
      labels: value.labels ?? {},
    }),
  )

const commandName = z.string().regex(/^[^\s/|&;<>()$`"'\\]+$/, 'must be one command name, without folder or arguments: those go in "flags" and "path"')
const flag = z
  .string()
  .regex(/^[^\s|=-][^\s|=]*(\|[^\s|=-][^\s|=]*)*$/, 'must be the spellings of one flag without dashes, like "r|R|recursive"')
  .transform((text) => text.split('|'))
const entry = z
  .union([
    commandName,
    z.strictObject({
      cmd: commandName,
      flags: z.array(flag).default([]),
      path: globs.default([]),
    }),
  ])
  .transform((value) => (typeof value === 'string' ? { cmd: value, flags: [], path: [] } : value))

/** How long a line waits for another person. */
const DEFAULT_APPROVE_MS = 5 * 60_000
const approveWithin = z.string('must be a duration like 5m').transform((text, context) => {
  try {
    const ms = parseDuration(text)
    if (ms >= 1000 && ms <= 24 * 3_600_000) return ms
    context.addIssue({ code: 'custom', message: 'must be at least 1s and at most 24h' })
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
  return z.NEVER
})
const allowOrDeny = z.enum(['allow', 'deny']).default('deny')
const names = z.array(z.string().min(1, 'must not be empty')).exactOptional()
const approvers = z
  .strictObject({ users: names, groups: names, roles: z.array(z.enum(ROLES)).exactOptional() })
  .refine((value) => [value.users, value.groups, value.roles].flat().some(Boolean), { ...anyMap, error: 'must name users, groups or roles' })
  .transform(({ users, groups, roles }): Approvers => ({ users: users ?? [], groups: groups ?? [], roles: roles ?? [] }))
const entries = z.array(entry).exactOptional()

const commands = z
  .strictObject({
    deny: entries,
    allow: entries,
    confirm: entries,
    approve: entries,
    approvers: approvers.default({ users: [], groups: [], roles: ['admin'] }),
    approveWithin: approveWithin.default(DEFAULT_APPROVE_MS),
    opaque: allowOrDeny,
    escape_capable: allowOrDeny,
    paths: z.strictObject({ deny: z.array(absoluteGlob).min(1, 'must not be empty: leave the key out to deny no path') }).exactOptional(),
    editLimit: size.exactOptional(),
    shell: z
      .array(z.enum(SHELLS))
      .min(1, 'must name at least one shell')
      .default([...SHELLS]),
  })
  .refine((value) => !(value.deny && value.allow) && (value.deny ?? value.allow ?? value.confirm ?? value.approve) !== undefined, {
    ...anyMap,
    error: 'must have either "deny" or "allow", and not both',
  })
  .transform(
    (value): CommandRule => ({
      mode: value.allow ? 'allow' : 'deny',
      entries: value.allow ?? value.deny ?? [],
      opaque: value.opaque === 'allow',
      escapeCapable: value.escape_capable === 'allow',
      ...(value.paths && { denyPaths: value.paths.deny }),
      ...(value.editLimit !== undefined && { editLimit: value.editLimit }),
      shells: value.shell,
      ...(value.confirm && value.confirm.length > 0 && { confirm: value.confirm }),
      ...(value.approve && value.approve.length > 0 && { approve: { entries: value.approve, by: value.approvers, withinMs: value.approveWithin } }),
    }),
  )

const lineText = z.string().min(1, 'must not be empty').max(4096, 'must be at most 4096 characters')
const example = z
  .union([
    lineText,
    z.strictObject({
      line: lineText,
      cwd: z.string().regex(/^\//, 'must be absolute').exactOptional(),
      dialect: z.enum(['bash', 'posix']).exactOptional(),
    }),
  ])
  .transform((value): Example => (typeof value === 'string' ? { line: value } : value))
/** Lines that the rule must let run, and lines that it must not; a line that asks first counts as neither but stands under `ask`. */
const examples = z
  .strictObject({ allow: z.array(example).default([]), deny: z.array(example).default([]), ask: z.array(example).default([]) })
  .transform((value): Examples => value)

const FILE_TYPES = ['file', 'directory', 'symlink', 'hardlink'] as const satisfies readonly FileType[]
const files = z
  .strictObject({
    upload: z.boolean().default(false),
    download: z.boolean().default(false),
    maxUpload: size.exactOptional(),
    maxDownload: size.exactOptional(),
    maxFiles: z.int('must be a whole number').min(1, 'must be at least 1').exactOptional(),
    paths: z
      .strictObject({
        deny: z.array(absoluteGlob).default([]),
        allow: z.array(absoluteGlob).min(1, 'must not be empty: leave the key out to allow every path').exactOptional(),
      })
      .default({ deny: [] }),
    types: z.array(z.enum(FILE_TYPES)).min(1, 'must name at least one type').exactOptional(),
    keep: size.exactOptional(),
  })
  .transform(({ paths, ...rest }): FileRule => ({ ...rest, denyPaths: paths.deny, ...(paths.allow && { allowPaths: paths.allow }) }))

const record = z
  .strictObject({ input: z.boolean().default(false), maxBytes: size.exactOptional() })
  .transform(({ input, maxBytes }): RecordRule => ({ input, ...(maxBytes !== undefined && { maxBytes }) }))

const who = z
  .strictObject({ users: names, groups: names })
  .refine((value) => [value.users, value.groups].flat().some(Boolean), { ...anyMap, error: 'must name users or groups: users: ["*"] means everyone' })

const address = z.string().superRefine((text, context) => {
  const message = addressMistake(text)
  if (message !== undefined) context.addIssue({ code: 'custom', message })
})

/** One rule of a rules file. */
export const ruleSchema = z
  .strictObject({
    name: shownText(100),
    who,
    from: z.array(address).min(1, 'must not be empty: leave the key out to let people come from anywhere').exactOptional(),
    where: z.array(place).min(1, 'must name at least one place'),
    doors: z.array(z.enum(DOORS)).min(1, 'must name at least one door').exactOptional(),
    commands: commands.exactOptional(),
    examples: examples.exactOptional(),
    files: files.exactOptional(),
    record: record.exactOptional(),
    message: shownText(500).exactOptional(),
  })
  .transform(
    ({ who: { users, groups }, doors, ...rest }): Rule => ({
      ...rest,
      users: users ?? [],
      groups: groups ?? [],
      // what programs write may hold anything: somebody who may run only what is listed reads it only where that is said
      doors: doors ?? DOORS.filter((door) => door !== 'logs' || rest.commands?.mode !== 'allow'),
    }),
  )

/**
 * Reads rules that are data already (the demo's, a test's).
 * @throws z.ZodError listing every mistake with its path
 */
export function parseRules(value: unknown): readonly Rule[] {
  return z.array(ruleSchema).parse(value)
}
