/** A real redis-server of a test's own, on a unix socket in its own directory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { tempDir } from './temp-dir.js'

export interface RedisServer {
  readonly url: string
  start(): Promise<void>
  /** @param signal SIGKILL loses what was not persisted */
  stop(signal?: NodeJS.Signals): Promise<void>
  process(): ChildProcess | undefined
  /** One command on a connection of its own. */
  command(name: string, ...args: string[]): Promise<unknown>
}

/** @param extra further arguments, e.g. `--appendonly yes` */
export async function redisServer(t: TestContext, ...extra: string[]): Promise<RedisServer> {
  const dir = await tempDir(t)
  const socket = join(dir, 'redis.sock')
  let child: ChildProcess | undefined
  const start = async () => {
    const started = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--loglevel', 'notice', ...extra], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    let said = ''
    for await (const chunk of started.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      said += chunk
      if (said.includes('ready to accept connections') || said.includes('accept connections at')) break
    }
    started.stdout.resume()
    if (started.exitCode !== null) throw new Error(`redis-server ended: ${said}`)
  }
  const stop = async (signal: NodeJS.Signals = 'SIGKILL') => {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null) return
    const ended = once(running, 'exit')
    running.kill(signal)
    running.kill('SIGCONT')
    await ended
  }
  t.after(() => stop())
  await start()
  return {
    url: `unix://${socket}`,
    start,
    stop,
    process: () => child,
    async command(name, ...args) {
      const client = new Redis(socket, { maxRetriesPerRequest: 1, retryStrategy: null })
      try {
        return await client.call(name, ...args)
      } finally {
        client.disconnect()
      }
    },
  }
}
