/**
 * Where containerd keeps what runc needs to start another program in a container: the bundle (OCI runtime specification,
 * "Filesystem Bundle"), which is the working directory of the container's shim, and beside it the runtime's own options.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { readProcess } from '../processes.js'

/** `process` of config.json, of which only some fields are changed for another program; the rest (capabilities, limits, profile) is kept as it is. */
export interface ProcessSpec {
  readonly args?: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
}
export interface Bundle {
  readonly containerId: string
  /** Path of the runtime's program. */
  readonly program: string
  /** Options of the program that come before its command. */
  readonly globals: readonly string[]
  readonly process: ProcessSpec
}

/**
 * @param pid of the container's first process, as this /proc has it
 * @throws Error why it cannot be read: another runtime than runc's kind, no access, no shim
 */
export function readBundle(pid: number, containerId: string): Bundle {
  const shim = readProcess(pid)?.parent
  if (!shim) throw new Error(`process ${pid} has no parent here`)
  const folder = readlinkSync(`/proc/${shim}/cwd`)
  if (basename(folder) !== containerId) throw new Error(`the parent of process ${pid} is no shim of ${containerId}`)
  // the folder is named as the shim's mount namespace has it
  const root = `/proc/${shim}/root`
  const { root: state, binary_name, systemd_cgroup } = readJson(join(root, folder, 'options.json'))
  const { process } = readJson(join(root, folder, 'config.json')) as { process?: Partial<ProcessSpec> }
  if (!isStrings(process?.env) || typeof process.cwd !== 'string') throw new Error('config.json has no process')
  // containerd adds its namespace, which is the folder above the container's
  const namespace = basename(join(folder, '..'))
  if (typeof state !== 'string' || state === '') throw new Error('options.json names no state folder of runc')
  const program = typeof binary_name === 'string' && binary_name !== '' ? binary_name : 'runc'
  const systemd = systemd_cgroup === true ? ['--systemd-cgroup'] : []
  readFileSync(join(state, namespace, containerId, 'state.json'))
  return { containerId, program, globals: ['--root', join(state, namespace), ...systemd], process: { ...process, env: process.env, cwd: process.cwd } }
}

function readJson(path: string): Record<string, unknown> {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
  if (typeof value !== 'object' || value === null) throw new Error(`${path} holds no object`)
  return value as Record<string, unknown>
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
