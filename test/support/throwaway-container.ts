/** A docker container of a test's own, from an image that is there. */
import { execFileSync } from 'node:child_process'
import { dockerSocketOf } from './need.js'

export interface Throwaway {
  /** Whole. */
  readonly id: string
  readonly pid: number
  /** Runs in it as docker exec does; standard output, trimmed. */
  exec(...argv: string[]): string
  remove(): void
}

export function docker(...argv: string[]): string {
  return execFileSync('docker', ['-H', `unix://${dockerSocketOf('a')}`, ...argv], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}

/** @param options of docker run, such as --user 1000 */
export function throwaway(image: 'debian:local' | 'busybox:local', ...options: string[]): Throwaway {
  const id = docker('run', '-d', '--network', 'none', '--stop-timeout', '0', ...options, image, 'sleep', '100000')
  return {
    id,
    pid: Number(docker('inspect', '-f', '{{.State.Pid}}', id)),
    exec: (...argv) => docker('exec', id, ...argv),
    remove: () => void docker('rm', '-f', id),
  }
}
