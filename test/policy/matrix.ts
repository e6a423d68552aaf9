/** Every door, a rule of each kind, and what comes of it: the table that docs/rules.md prints and matrix.test.ts holds the policy to. */
import { DOORS, type Door, type Identity, type Target, type Verdict } from '../../src/core/types.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'
import { vetLine } from '../../src/policy/vet.js'

const BOB: Identity = { user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host: '192.0.2.1', port: 1 } }
const WEB: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }

/** Column -> the keys of a rule for bob in every place; `false`: no rule at all. */
export const RULES: Readonly<Record<string, object | false>> = {
  'no rule matches': false,
  plain: {},
  'black list': { commands: { deny: ['rm'] } },
  'white list': { commands: { allow: ['ls'] } },
  confirm: { commands: { confirm: ['rm'] } },
  approve: { commands: { approve: ['rm'] } },
  'doors: [shell]': { doors: ['shell'] },
  'files: download only': { files: { download: true } },
}
/** What is asked at a door. Doors of files ask nothing but `open` and transfers; rsync is held to both. */
const ASKED: Readonly<Record<Door, readonly ('open' | 'ls' | 'rm' | 'download' | 'upload' | 'read')[]>> = {
  shell: ['open', 'ls', 'rm'],
  exec: ['open', 'ls', 'rm'],
  sftp: ['open', 'download', 'upload'],
  scp: ['open', 'download', 'upload'],
  rsync: ['open', 'download', 'upload'],
  http: ['open', 'ls', 'rm', 'download', 'upload'],
  ws: ['open', 'ls', 'rm'],
  batch: ['open', 'ls', 'rm', 'download', 'upload'],
  logs: ['read'],
}

export interface MatrixRow {
  readonly door: Door
  readonly asked: string
  /** In the order of RULES. */
  readonly answers: readonly string[]
}

export function matrix(): readonly MatrixRow[] {
  const policies = Object.values(RULES).map((keys) =>
    createPolicy(keys === false ? [] : parseRules([{ name: 'r', who: { users: ['bob'] }, where: [{ cluster: '*' }], ...keys }]), vetLine),
  )
  return DOORS.flatMap((door) =>
    ASKED[door].map((asked): MatrixRow => ({ door, asked, answers: policies.map((policy) => answer(policy.decide(question(door, asked)), asked)) })),
  )
}

function question(door: Door, asked: string): Parameters<ReturnType<typeof createPolicy>['decide']>[0] {
  const base = { identity: BOB, target: WEB, door }
  if (asked === 'open' || asked === 'read') return { ...base, kind: 'open' }
  if (asked === 'download' || asked === 'upload') return { ...base, kind: 'transfer', direction: asked, path: '/srv/a', op: asked }
  return { ...base, kind: 'run', line: asked === 'ls' ? 'ls' : 'rm x', dialect: 'posix', cwd: '/' }
}

function answer(verdict: Verdict, asked: string): string {
  if (!verdict.allow) return verdict.demand ? `asks (${verdict.demand.kind})` : 'refused'
  return asked === 'open' && verdict.commands ? 'guarded' : 'allowed'
}

/** Markdown, as docs/rules.md has it between its markers. */
export function matrixTable(): string {
  const head = ['door', 'asked', ...Object.keys(RULES)]
  const rows = matrix().map(({ door, asked, answers }) => [door, LABELS[asked] ?? asked, ...answers])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const LABELS: Readonly<Record<string, string>> = { ls: '`ls`', rm: '`rm x`' }
