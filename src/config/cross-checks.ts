/** Mistakes and warnings that no section shows by itself. */
import type { User } from '../identity/directory.js'
import { wrongExamples, wrongExampleText } from '../policy/examples.js'
import { compileGlobs } from '../policy/globs.js'
import type { Rule } from '../policy/rules.js'
import type { YamlDocument } from './document.js'
import { isLoopback } from './fields.js'
import type { Findings, Located } from './findings.js'
import type { AgentConfig, ClusterConfig, HttpConfig, SshConfig } from './values.js'

/** The parts that could be read; a part with mistakes of its own is undefined or left out. */
export interface Parts {
  readonly root: YamlDocument
  readonly ssh: SshConfig | undefined
  readonly http: HttpConfig | undefined
  readonly clusters: readonly Located<ClusterConfig>[]
  /** All names that stand in the file, also of clusters with mistakes: a rule for one of these is no slip of the pen. */
  readonly clusterNames: readonly string[]
  readonly users: readonly Located<User>[]
  /** In Redis are others, or will be: who is not among `users` is no slip of the pen. */
  readonly areUsersElsewhere: boolean
  readonly rules: readonly Located<Rule>[]
}

/** Salts of the hashes in config/users.yaml of the repository: whoever still has one has a password that is printed there. */
const EXAMPLE_SALTS: readonly string[] = ['fN6z0Xe/uw+gX1QJG0rKyg', 'VDGTN6Fj+K058Fb5hqmfyQ', 'bkgcOJjkKwqFyaaLEvrnBw', 'WiX30HLsecF8nsqsIXd+uw']

export function crossCheck(parts: Parts, findings: Findings): void {
  checkListeners(parts, findings)
  for (const cluster of parts.clusters) checkCluster(cluster, parts.root.at(['agentAuth']) !== undefined, findings)
  for (const user of parts.users) {
    const { password } = user.value
    if (password && EXAMPLE_SALTS.some((salt) => password.includes(`$${salt}$`))) {
      findings.warning(user.document, [...user.path, 'password'], `is the example password, which everyone knows: change it with "opserver passwd"`)
    }
    if (user.value.password === undefined && user.value.keys.length === 0)
      findings.warning(user.document, user.path, `"${user.value.name}" has neither password nor keys and cannot log in`)
  }
  for (const rule of parts.rules) checkRule(rule, parts, findings)
  if (parts.root.at(['clusters']) !== undefined && parts.clusterNames.length === 0)
    findings.warning(parts.root, ['clusters'], 'is empty: there will be nothing to log in to')
}

function checkListeners({ root, ssh, http }: Parts, findings: Findings): void {
  if (ssh && http && ssh.listen.port !== 0 && ssh.listen.port === http.listen.port && ssh.listen.host === http.listen.host) {
    findings.mistake(root, ['http', 'listen'], 'is the address of ssh.listen already')
  }
  if (http && !http.tls && !isLoopback(http.listen.host)) {
    findings.warning(root, ['http', 'listen'], 'is not loopback and there is no http.tls: passwords and tokens cross the network in the clear')
  }
}

function checkCluster({ value: cluster, document, path }: Located<ClusterConfig>, hasAuth: boolean, findings: Findings): void {
  if (
    cluster.kind === 'docker' &&
    cluster.docker.startsWith('tcp://') &&
    !isLoopback(new URL(cluster.docker.replace('tcp:', 'http:')).hostname.replace(/[[\]]/g, ''))
  ) {
    findings.warning(document, [...path, 'docker'], 'is a docker API without TLS: whoever reaches that port is root there')
  }
  if (cluster.kind !== 'kubernetes' || !cluster.agent) return
  if (cluster.via === 'apiserver') findings.warning(document, [...path, 'agent'], 'is not used: via is apiserver')
  else if (!hasAuth && !staysHere(cluster.agent)) {
    findings.mistake(
      document,
      [...path, 'agent'],
      'needs agentAuth (mutual TLS): without it only agents on loopback are trusted, each named under agent.hosts',
      true,
    )
  }
}
/** Every node that is named has its agent on loopback; the gateway refuses the others at run time. */
function staysHere(agent: AgentConfig): boolean {
  const hosts = Object.values(agent.hosts)
  return hosts.length > 0 && hosts.every(isLoopback)
}

function checkRule(located: Located<Rule>, parts: Parts, findings: Findings): void {
  const { value: rule, document, path } = located
  const { clusterNames } = parts
  if (!parts.areUsersElsewhere) checkPeople(located, parts, findings)
  for (const [i, { cluster }] of rule.where.entries()) {
    if (!clusterNames.some(compileGlobs(cluster)))
      findings.warning(document, [...path, 'where', i, 'cluster'], `matches none of the clusters ${clusterNames.join(', ')}`)
  }
  checkFileRule(located, findings)
}
function checkPeople({ value: rule, document, path }: Located<Rule>, { users }: Parts, findings: Findings): void {
  const names = new Set(users.map(({ value }) => value.name))
  const groups = new Set(users.flatMap(({ value }) => value.groups))
  for (const [i, user] of rule.users.entries()) {
    if (user !== '*' && !names.has(user)) findings.warning(document, [...path, 'who', 'users', i], `names "${user}", who is not among the users`)
  }
  for (const [i, group] of rule.groups.entries()) {
    if (!groups.has(group)) findings.warning(document, [...path, 'who', 'groups', i], `names "${group}", a group that no user is in`)
  }
}
function checkFileRule({ value: { files, commands }, document, path }: Located<Rule>, findings: Findings): void {
  if (!files && commands?.mode === 'allow') findings.warning(document, path, 'lists the commands it allows and has no "files": transfers are refused')
  if (files?.maxUpload !== undefined && !files.upload) findings.warning(document, [...path, 'files', 'maxUpload'], 'has no effect: "upload" is not true')
  if (files?.maxDownload !== undefined && !files.download)
    findings.warning(document, [...path, 'files', 'maxDownload'], 'has no effect: "download" is not true')
}

/** Examples beside a rule that it answers otherwise than its author expects. */
export function checkExamples({ value: rule, document, path }: Located<Rule>, findings: Findings, as: 'mistake' | 'warning'): void {
  for (const wrong of wrongExamples(rule)) findings[as](document, [...path, 'examples', wrong.expected, wrong.index], wrongExampleText(wrong))
}
