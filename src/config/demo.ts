/** The embedded default: a configuration in memory that needs no cluster, no Redis and no docker (`opserver --demo`). */
import { resolve } from 'node:path'
import { parseUsers } from '../identity/directory.js'
import { DEFAULT_LOGIN_LIMITS } from '../identity/login.js'
import { parseRules } from '../policy/rules.js'
import { deepFreeze } from './fields.js'
import { auditSchema, drainTimeoutSchema, httpSchema, logLevelSchema, recordingSchema, sshSchema } from './schema.js'
import { resourceManagerSchema } from './shared-services.js'
import type { Config } from './values.js'

export interface DemoOptions {
  readonly dataDir: string
  /** 0: any free port. */
  readonly sshPort: number
  readonly httpPort: number
  /** What each demo user logs in with; a user without an entry exists and cannot log in. */
  readonly credentials?: Readonly<Record<string, DemoCredentials>>
}
export interface DemoCredentials {
  /** PHC string of hashPassword. */
  readonly password?: string
  /** Lines of .pub files. */
  readonly keys?: readonly string[]
}

export interface DemoUser {
  readonly name: string
  /** The highest of the user's roles. */
  readonly role: 'user' | 'auditor' | 'admin'
  readonly groups: readonly string[]
  /** One line for the screen of `npm start`. */
  readonly about: string
}

export const DEMO_CLUSTER = 'demo'
export const DEMO_PODS: readonly string[] = ['web-0', 'web-1', 'db-0']

export const DEMO_USERS: readonly DemoUser[] = [
  { name: 'alice', role: 'admin', groups: ['sre'], about: 'may do everything' },
  { name: 'bob', role: 'user', groups: ['dev'], about: 'has a black list: rm, dd and other commands are refused' },
  { name: 'carol', role: 'user', groups: ['support'], about: 'has a white list: may look at the web pods and change nothing' },
  { name: 'audra', role: 'auditor', groups: ['audit'], about: 'enters no pod; sees every session and its replay' },
]

/** Secrets of a machine by every name that leads there; `/proc/PID/root` and `cwd` are other names of everything. */
const SECRETS: readonly string[] = [
  '*/etc/shadow*',
  '*/etc/gshadow*',
  '*/etc/sudoers*',
  '*/etc/ssh/*',
  '*/.ssh/*',
  '/proc/*/root/*',
  '/proc/*/cwd/*',
  '/proc/*/environ',
  '/dev/*',
]

/** config/rules.yaml of the repository says the same for a config in files. */
const DEMO_RULES = [
  { name: 'sre-everything', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }] },
  {
    name: 'dev-careful',
    who: { groups: ['dev'] },
    where: [{ cluster: DEMO_CLUSTER }],
    commands: {
      deny: [
        'rm',
        'rmdir',
        'shred',
        'mkfs',
        'reboot',
        'shutdown',
        'halt',
        'poweroff',
        'kill',
        'pkill',
        'killall',
        { cmd: 'dd', flags: ['of'] },
        { cmd: 'chmod', flags: ['R|recursive'] },
        { cmd: 'chown', flags: ['R|recursive'] },
        ...['cat', 'head', 'tail', 'less', 'more', 'cp', 'grep'].map((cmd) => ({ cmd, path: ['/etc/shadow', '/etc/gshadow', '*/.ssh/*'] })),
      ],
      editLimit: '10MiB',
    },
    files: { upload: true, download: true, maxUpload: '100MiB', maxDownload: '1GiB', paths: { deny: ['/etc/*', '*/.ssh/*'] } },
    message: 'ask alice',
  },
  {
    name: 'support-look',
    who: { groups: ['support'] },
    where: [{ cluster: DEMO_CLUSTER, pod: 'web-*' }],
    commands: {
      allow: [
        'ls',
        'cat',
        'head',
        'tail',
        'grep',
        'wc',
        'sort',
        'uniq',
        'cut',
        'pwd',
        'cd',
        'echo',
        'whoami',
        'id',
        'uname',
        'uptime',
        'ps',
        'df',
        'du',
        'free',
        'printenv',
      ],
      paths: { deny: SECRETS },
    },
    files: { upload: false, download: true, maxDownload: '10MiB', paths: { deny: ['/etc/*', '*/.ssh/*'] } },
    message: 'support may look; ask bob to change something',
  },
]

/** @throws z.ZodError when a password is no hash or a key no key */
export function demoConfig({ dataDir, sshPort, httpPort, credentials = {} }: DemoOptions): Config {
  const folder = resolve(dataDir)
  const users = DEMO_USERS.map(({ name, role, groups }) => ({ name, groups, roles: [role], ...credentials[name] }))
  return deepFreeze<Config>({
    file: '(demo)',
    dataDir: folder,
    ssh: sshSchema(folder).parse({ listen: `127.0.0.1:${sshPort}` }),
    http: httpSchema(folder).parse({ listen: `127.0.0.1:${httpPort}` }),
    audit: auditSchema('.').parse(undefined),
    recording: recordingSchema('.').parse(undefined),
    clusters: [{ kind: 'local', name: DEMO_CLUSTER, pods: [...DEMO_PODS] }],
    resourceManager: resourceManagerSchema(folder).parse(undefined),
    login: { ...DEFAULT_LOGIN_LIMITS },
    users: parseUsers(users),
    rules: parseRules(DEMO_RULES),
    drainTimeoutMs: drainTimeoutSchema.parse(undefined),
    logLevel: logLevelSchema.parse(undefined),
    warnings: [],
  })
}
