/**
 * opserver.yaml with the files it names, read into one deep-frozen object or refused with the list of everything that is
 * wrong (contract.md, "Config"). Paths are relative to the folder of the config file. Unknown keys are refused.
 */
import { dirname, resolve } from 'node:path'
import { clusterSchema } from './config/clusters.js'
import { checkExamples, crossCheck } from './config/cross-checks.js'
import { readYaml, type YamlDocument } from './config/document.js'
import { deepFreeze, present } from './config/fields.js'
import { Findings, type Located } from './config/findings.js'
import { checkFiles, type FileClaim } from './config/key-files.js'
import { ConfigError, type Mistake } from './config/mistakes.js'
import {
  agentAuthSchema,
  auditSchema,
  dataDirSchema,
  drainTimeoutSchema,
  httpSchema,
  listStoreSchema,
  loginSchema,
  logLevelSchema,
  recordingSchema,
  sshSchema,
} from './config/schema.js'
import { podCacheSchema, resourceManagerSchema } from './config/shared-services.js'
import type { ClusterConfig, Config } from './config/values.js'
import { userSchema } from './identity/directory.js'
import { ruleSchema } from './policy/rules.js'

export { demoConfig } from './config/demo.js'
export { ConfigError, printMistakes } from './config/mistakes.js'
export type { Config } from './config/values.js'

/** The result of looking at a config file. */
export interface ConfigReport {
  readonly mistakes: readonly Mistake[]
  readonly warnings: readonly Mistake[]
}

const KEYS = [
  'dataDir',
  'ssh',
  'http',
  'audit',
  'recording',
  'clusters',
  'agentAuth',
  'resourceManager',
  'podCache',
  'login',
  'users',
  'rules',
  'drainTimeout',
  'logLevel',
]

/**
 * Reads the configuration for a start.
 * @returns deep-frozen, with every default; what is only odd stands in `warnings`
 * @throws ConfigError (CONFIG_INVALID) whose `mistakes` are all that were found
 */
export async function loadConfig(file: string): Promise<Config> {
  const { config, findings } = await readConfig(resolve(file), 'warning')
  if (!config) throw new ConfigError(file, findings.mistakes, findings.warnings)
  return config
}

/** All mistakes and warnings, for `opserver check`. Creates nothing and connects to nothing. */
export async function checkConfig(file: string): Promise<ConfigReport> {
  const { findings } = await readConfig(resolve(file), 'mistake')
  return { mistakes: findings.mistakes, warnings: findings.warnings }
}

/** @param examples what an example is that its rule answers otherwise: a gateway starts nevertheless */
async function readConfig(file: string, examples: 'mistake' | 'warning'): Promise<{ config?: Config; findings: Findings }> {
  const findings = new Findings()
  const result = await readYaml(file)
  if ('mistakes' in result) {
    findings.add(...result.mistakes)
    return { findings }
  }
  const config = await readRoot(result.document, findings, examples)
  return findings.mistakes.length === 0 && config ? { config: deepFreeze(config), findings } : { findings }
}

async function readRoot(root: YamlDocument, findings: Findings, examples: 'mistake' | 'warning'): Promise<Config | undefined> {
  const folder = dirname(root.file)
  if (typeof root.value !== 'object' || root.value === null || Array.isArray(root.value)) {
    findings.mistake(root, [], 'the file must hold a map')
    return undefined
  }
  for (const key of Object.keys(root.value)) if (!KEYS.includes(key)) findings.mistake(root, [key], 'is not a known key', true)

  const dataDir = findings.read(root, ['dataDir'], dataDirSchema(folder))
  const ssh = findings.read(root, ['ssh'], sshSchema(folder))
  const http = findings.read(root, ['http'], httpSchema(folder))
  const audit = findings.read(root, ['audit'], auditSchema(folder))
  const recording = findings.read(root, ['recording'], recordingSchema(folder))
  const resourceManager = findings.read(root, ['resourceManager'], resourceManagerSchema(folder))
  const podCache = root.at(['podCache']) === undefined ? undefined : findings.read(root, ['podCache'], podCacheSchema)
  const login = findings.read(root, ['login'], loginSchema)
  const drainTimeoutMs = findings.read(root, ['drainTimeout'], drainTimeoutSchema)
  const logLevel = findings.read(root, ['logLevel'], logLevelSchema)
  const agentAuth = root.at(['agentAuth']) === undefined ? undefined : findings.read(root, ['agentAuth'], agentAuthSchema(folder))

  const storeOf = (part: 'rules' | 'users') => (isMap(root.at([part])) ? findings.read(root, [part], listStoreSchema) : undefined)
  const [ruleStore, userStore] = [storeOf('rules'), storeOf('users')]
  const clusters = findings.readList(root, ['clusters'], (value) => clusterSchema(folder, value))
  const seed = (store: object | undefined) => (store ? ['seed'] : [])
  const users = await readPart(root, ['users', ...seed(userStore)], findings)
  const rules = await readPart(root, ['rules', ...seed(ruleStore)], findings)
  const hasUsers = users && !(userStore && userStore.seed === undefined)
  const people = hasUsers ? findings.readList(users.document, users.path, () => userSchema) : []
  const hasRules = rules && !(ruleStore && ruleStore.seed === undefined)
  const decisions = hasRules ? findings.readList(rules.document, rules.path, () => ruleSchema) : []
  findings.refuseTwins(root, ['clusters'], 'cluster')
  if (hasUsers) findings.refuseTwins(users.document, users.path, 'user')
  if (hasRules) findings.refuseTwins(rules.document, rules.path, 'rule')

  crossCheck(
    { root, ssh, http, clusters, clusterNames: namesAt(root, ['clusters']), users: people, areUsersElsewhere: userStore !== undefined, rules: decisions },
    findings,
  )
  for (const rule of decisions) checkExamples(rule, findings, examples)
  await checkFiles([...claims(root, { ssh, http, agentAuth }), ...clusters.flatMap(kubeconfigClaim)], findings)

  if (!dataDir || !ssh || !http || !audit || !recording || !resourceManager || !login || !drainTimeoutMs || !logLevel) return undefined
  return present({
    file: root.file,
    dataDir,
    ssh,
    http,
    audit,
    recording,
    clusters: clusters.map(({ value }) => value),
    agentAuth,
    resourceManager,
    podCache,
    login,
    users: people.map(({ value }) => value),
    rules: decisions.map(({ value }) => value),
    ruleStore: ruleStore && { redis: ruleStore.redis, seed: decisions.map(({ document, path }) => document.at(path)) },
    userStore: userStore && { redis: userStore.redis, seed: people.map(({ document, path }) => document.at(path)) },
    drainTimeoutMs,
    logLevel,
    warnings: findings.warnings,
  })
}

/** `users` and `rules` stand in the file itself or in one that it names. */
async function readPart(
  root: YamlDocument,
  at: readonly string[],
  findings: Findings,
): Promise<{ document: YamlDocument; path: readonly PropertyKey[] } | undefined> {
  const value = root.at(at)
  if (typeof value !== 'string') return { document: root, path: at }
  const result = await readYaml(resolve(dirname(root.file), value), at)
  if ('document' in result) return { document: result.document, path: [] }
  findings.add(...result.mistakes)
  findings.mistake(root, at, `names "${value}", which cannot be used`)
  return undefined
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function namesAt(document: YamlDocument, path: readonly PropertyKey[]): string[] {
  const list = document.at(path)
  if (!Array.isArray(list)) return []
  return [...list.keys()].map((i) => document.at([...path, i, 'name'])).filter((name) => typeof name === 'string')
}

function claims(document: YamlDocument, { ssh, http, agentAuth }: { [K in 'ssh' | 'http' | 'agentAuth']: Config[K] | undefined }): FileClaim[] {
  const claim = (kind: FileClaim['kind'], file: string, ...path: PropertyKey[]): FileClaim => ({ document, path, file, kind })
  return [
    ...(ssh?.hostKeys ?? []).map((file, i) => claim('private when there', file, 'ssh', 'hostKeys', i)),
    ...(http?.tls ? [claim('public', http.tls.cert, 'http', 'tls', 'cert'), claim('private', http.tls.key, 'http', 'tls', 'key')] : []),
    ...(agentAuth
      ? [
          claim('public', agentAuth.ca, 'agentAuth', 'ca'),
          claim('public', agentAuth.cert, 'agentAuth', 'cert'),
          claim('private', agentAuth.key, 'agentAuth', 'key'),
        ]
      : []),
  ]
}
function kubeconfigClaim({ value, document, path }: Located<ClusterConfig>): FileClaim[] {
  return value.kind === 'kubernetes' ? [{ document, path: [...path, 'kubeconfig'], file: value.kubeconfig, kind: 'credentials' }] : []
}
