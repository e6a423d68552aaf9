/** A gateway whose one pod is a folder of this machine: real clients, real policy, real servers; only the way to the container is short. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { NodeFiles } from '../../../agent/files/node-files.js'
import { transferServers } from '../../../src/build/transfer.js'
import type { FileAccess } from '../../../src/core/files.js'
import { silentLogger } from '../../../src/core/log.js'
import type { AuditEvent, AuditSink, StoredEvent, Target } from '../../../src/core/types.js'
import { createPolicy } from '../../../src/policy/policy.js'
import { parseRules } from '../../../src/policy/rules.js'
import { vetLine } from '../../../src/policy/vet.js'
import { Entrance, type EntranceParts } from '../../../src/session/open.js'
import { SessionRegistry } from '../../../src/session/registry.js'
import { askPass, type Gateway, gateway, type Ran, run, sshOptions } from '../../ssh/gateway.js'

export const TARGET: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
export type FileStored = StoredEvent & { readonly type: 'file' }

export interface Rig {
  readonly at: Gateway
  /** In the container. */
  readonly home: string
  /** At the client. */
  readonly local: string
  readonly events: StoredEvent[]
  readonly entrance: Entrance
  readonly registry: SessionRegistry
  files(): FileStored[]
  /** What an event of a kind says, without what differs from run to run. */
  told(op: string): Partial<FileStored>[]
  /** Runs scp or sftp with the options of this gateway; `remote:` stands for the pod. */
  run(program: 'scp' | 'sftp' | 'ssh', args: readonly string[], input?: string): Promise<Ran>
}
export interface RigOptions {
  readonly rule?: object
  /** In place of the folder itself, such as one that fails. */
  readonly wrap?: (files: FileAccess) => FileAccess
  readonly parts?: Partial<EntranceParts>
  /** Answers why the audit cannot be kept. */
  readonly unavailable?: () => string | undefined
  readonly audit?: (event: AuditEvent) => Promise<void>
}

export function eventsOf(options: Pick<RigOptions, 'unavailable' | 'audit'> = {}): { readonly events: StoredEvent[]; readonly audit: AuditSink } {
  const events: StoredEvent[] = []
  const audit: AuditSink = {
    write: async (event) => {
      await options.audit?.(event)
      const stored: StoredEvent = { ...event, seq: events.length, time: new Date().toISOString(), prev: '', hash: '' }
      events.push(stored)
      return stored
    },
    unavailable: () => options.unavailable?.(),
    close: async () => undefined,
  }
  return { events, audit }
}

export async function rig(t: TestContext, options: RigOptions = {}): Promise<Rig> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'dockin-files-')))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const [home, local] = [join(dir, 'pod'), join(dir, 'local')]
  for (const folder of [home, local]) mkdirSync(folder)
  const { events, audit } = eventsOf(options)
  const policy = createPolicy(parseRules([{ name: 'r', who: { users: ['*'] }, where: [{ cluster: '*' }], ...fill(options.rule, home) }]), vetLine)
  const registry = new SessionRegistry()
  const entrance = new Entrance({
    resolver: { resolve: async () => ({ target: TARGET }), list: () => [] },
    policy,
    audit,
    executor: () => ({
      name: 'folder',
      exec: async () => {
        throw new Error('nothing runs here')
      },
      files: async () => (options.wrap ?? ((files: FileAccess) => files))(new NodeFiles({ via: 'folder', home: Buffer.from(home) })),
      close: async () => undefined,
    }),
    interceptors: [],
    registry,
    pick: async () => undefined,
    onGone: () => () => undefined,
    transfer: transferServers(policy, audit, silentLogger),
    log: silentLogger,
    ...options.parts,
  })
  const at = await gateway(t, { open: (request, client) => entrance.open(request, client) })
  const files = (): FileStored[] => events.filter((event): event is FileStored => event.type === 'file')
  return {
    at,
    home,
    local,
    events,
    entrance,
    registry,
    files,
    told: (op) =>
      files()
        .filter((event) => event.op === op)
        .map(({ seq, time, prev, hash, session, user, from, door, target, type, ms, ...rest }) => rest),
    run: (program, args, input) => {
      const auth = ['PreferredAuthentications=password', 'NumberOfPasswordPrompts=1', 'BatchMode=no']
      const login = program === 'scp' ? 'scp://alice+web-0@127.0.0.1' : 'alice+web-0@127.0.0.1'
      const ours = sshOptions(at, ...auth)
      const own = program === 'ssh' ? ours : ours.map((option) => (option === '-p' ? '-P' : option))
      // with a port of its own scp takes a plain host:path
      const filled = args.map((arg) => (arg === 'remote:' ? login.replace('scp://', '') : arg.replace(/^remote:/, `${login.replace('scp://', '')}:`)))
      return run(program, [...own, ...filled], {
        env: { ...askPass(at.dir), ...(program === 'sftp' ? { SSH_ASKPASS_REQUIRE: 'force' } : {}) },
        ...(input !== undefined && { input }),
      })
    },
  }
}

/** HOME in a rule stands for the pod's home. */
function fill(rule: object | undefined, home: string): object {
  return JSON.parse(JSON.stringify(rule ?? {}).replaceAll('HOME', home)) as object
}
