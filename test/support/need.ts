/** What a test needs of the machine. Each answers `false` when it is there, else the reason for node:test's `skip`. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const CLUSTER_DIR = process.env.CLUSTER_DIR ?? '/var/tmp/test-cluster'

export function kubeconfigOf(cluster: 'a' | 'b'): string {
  return join(CLUSTER_DIR, cluster, 'admin.kubeconfig')
}
export function dockerSocketOf(cluster: 'a' | 'b'): string {
  return cluster === 'a' ? '/var/run/docker.sock' : '/run/docker-b.sock'
}

function answers(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

export const needs = {
  program(name: string): false | string {
    return answers('which', name) ? false : `${name} is not installed`
  },
  cluster(name: 'a' | 'b'): false | string {
    const kubeconfig = kubeconfigOf(name)
    if (!existsSync(kubeconfig)) return `cluster ${name} was never started`
    return answers('kubectl', '--kubeconfig', kubeconfig, 'get', '--raw', '/readyz') ? false : `cluster ${name} does not answer`
  },
  docker(name: 'a' | 'b' = 'a'): false | string {
    const socket = dockerSocketOf(name)
    if (!existsSync(socket)) return `no docker at ${socket}`
    return answers('docker', '-H', `unix://${socket}`, 'info') ? false : `docker at ${socket} does not answer`
  },
}
