/** Session facts for tests of stages and stores. */
import type { Session } from '../../src/core/types.js'

export interface SessionSwitch {
  readonly session: Session
  readonly abort: (reason: Error) => void
}

/** A shell of alice in a/shop/web-0/web. */
export function aSession(facts: Partial<Session> = {}): SessionSwitch {
  const controller = new AbortController()
  const session: Session = {
    id: 's-1',
    door: 'shell',
    identity: { user: 'alice', groups: [], roles: ['user'], method: 'publickey', from: { host: '10.0.0.1', port: 4000 } },
    target: { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u-1', node: 'node-a', containerId: 'docker://1', labels: {} },
    startedAt: new Date('2026-11-23T10:00:00.000Z'),
    signal: controller.signal,
    pty: { term: 'xterm-256color', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes: {} },
    ...facts,
  }
  return { session, abort: (reason) => controller.abort(reason) }
}

/** The same without a terminal. */
export function anExec(facts: Partial<Session> = {}): Session {
  const { pty: _, ...session } = aSession({ door: 'exec', command: 'ls', ...facts }).session
  return session
}
