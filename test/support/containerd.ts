/**
 * A real containerd of a test's own: its own directory, socket and streaming port, one pod with one busybox container.
 * Needs root and no network: the image is made here from busybox-static, the pod shares the node's network.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as later } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client, credentials } from '@grpc/grpc-js'
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'
import { Scope } from '../../src/core/scope.js'
import { needs } from './need.js'

const run = promisify(execFile)

const ENGINE_PROGRAMS = ['containerd', 'containerd-shim-runc-v2', 'runc']
const CGROUPS = '/sys/fs/cgroup'
const IMAGE = 'dockin.test/busybox:1'
const START_MS = 15_000
const CALL_MS = 15_000
const STOP_MS = 5000
/** CRI learns of an imported image from an event of its own, and tells nobody when it has. */
const POLL_MS = 50
/** Of its log, for the message when it ends by itself. */
const SAID_CHARS = 4096

/** The part of CRI (k8s.io/cri-api, runtime.v1) that runs a pod and asks for an exec. Field numbers are its public contract. */
const CRI_PROTO = `
syntax = "proto3";
package runtime.v1;
service RuntimeService {
  rpc RunPodSandbox(RunPodSandboxRequest) returns (PodSandboxId) {}
  rpc StopPodSandbox(PodSandboxId) returns (Empty) {}
  rpc RemovePodSandbox(PodSandboxId) returns (Empty) {}
  rpc CreateContainer(CreateContainerRequest) returns (ContainerId) {}
  rpc StartContainer(ContainerId) returns (Empty) {}
  rpc StopContainer(StopContainerRequest) returns (Empty) {}
  rpc Exec(ExecRequest) returns (ExecResponse) {}
}
service ImageService { rpc ImageStatus(ImageStatusRequest) returns (ImageStatusResponse) {} }
message Empty {}
message PodSandboxId { string pod_sandbox_id = 1; }
message ContainerId { string container_id = 1; }
message StopContainerRequest { string container_id = 1; int64 timeout = 2; }
message PodSandboxMetadata { string name = 1; string uid = 2; string namespace = 3; uint32 attempt = 4; }
message NamespaceOption { int32 network = 1; int32 pid = 2; int32 ipc = 3; }
message LinuxSandboxSecurityContext { NamespaceOption namespace_options = 1; }
message LinuxPodSandboxConfig { LinuxSandboxSecurityContext security_context = 2; }
message PodSandboxConfig { PodSandboxMetadata metadata = 1; LinuxPodSandboxConfig linux = 8; }
message RunPodSandboxRequest { PodSandboxConfig config = 1; }
message ImageSpec { string image = 1; }
message ContainerMetadata { string name = 1; uint32 attempt = 2; }
message LinuxContainerSecurityContext { NamespaceOption namespace_options = 3; }
message LinuxContainerConfig { LinuxContainerSecurityContext security_context = 2; }
message ContainerConfig { ContainerMetadata metadata = 1; ImageSpec image = 2; repeated string command = 3; LinuxContainerConfig linux = 15; }
message CreateContainerRequest { string pod_sandbox_id = 1; ContainerConfig config = 2; PodSandboxConfig sandbox_config = 3; }
message ExecRequest { string container_id = 1; repeated string cmd = 2; bool tty = 3; bool stdin = 4; bool stdout = 5; bool stderr = 6; }
message ExecResponse { string url = 1; }
message ImageStatusRequest { ImageSpec image = 1; }
message Image { string id = 1; }
message ImageStatusResponse { Image image = 1; }
`

/** `namespace_options.network`: POD 0, CONTAINER 1, NODE 2. With NODE no CNI plugin is asked. */
const NODE_NETWORK = { network: 2 }

/** Why this machine cannot run one, else false; for node:test's `skip`. */
export function containerdMissing(): false | string {
  if (process.getuid?.() !== 0) return 'only root can run a containerd'
  for (const program of ['containerd', 'containerd-shim-runc-v2', 'ctr', 'runc', 'busybox', 'tar', 'unshare', 'umount']) {
    const reason = needs.program(program)
    if (reason) return reason
  }
  if (spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status !== 0) return 'this root may not make namespaces'
  if (spawnSync('ldd', [execFileSync('which', ['busybox'], { encoding: 'utf8' }).trim()]).status === 0) return 'busybox is not the static one'
  return false
}

export interface CriExec {
  readonly argv: readonly string[]
  readonly stdin: boolean
  readonly tty: boolean
}

export interface ContainerdServer {
  /** The streaming URL, good for one connection; stderr is asked for unless there is a terminal. */
  exec(exec: CriExec): Promise<URL>
  /** Ends the container's program at once, and with it what was exec'ed into it. */
  stopContainer(): Promise<void>
  /** What runs, is mounted or is kept because of this containerd: nothing after `close`. */
  leftovers(): string[]
  /** Removes the pod, stops containerd and takes away whatever it left. May be called twice. */
  close(): Promise<void>
}

/** Starts one, with its container running. Closes everything before it throws. */
export async function containerdServer(): Promise<ContainerdServer> {
  const scope = new Scope()
  try {
    return await open(scope)
  } catch (error) {
    await scope.close()
    throw error
  }
}

async function open(scope: Scope): Promise<ContainerdServer> {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-cri-'))
  scope.defer(sweepAlways(dir))
  const imported = writeImage(dir)
  const engine = startEngine(dir, scope)
  const cri = scope.add(new Cri(dir))
  await Promise.race([cri.ready(), engine.ended])
  await run('ctr', ['-a', socketOf(dir), '-n', 'k8s.io', 'images', 'import', '--snapshotter', 'native', await imported], { timeout: CALL_MS })
  await cri.image(IMAGE)
  const container = await startPod(cri, scope)
  return {
    exec: async ({ argv, ...wanted }) => {
      const { url } = await cri.call('RuntimeService', 'Exec', { container_id: container, cmd: argv, ...wanted, stdout: true, stderr: !wanted.tty })
      return new URL(String(url))
    },
    stopContainer: async () => {
      await cri.call('RuntimeService', 'StopContainer', { container_id: container, timeout: 0 })
    },
    leftovers: () => [...processesOf(dir).map(({ pid, program }) => `${program} ${pid}`), ...mountsOf(dir), ...(existsSync(dir) ? [dir] : [])],
    close: () => scope.close(),
  }
}

async function startPod(cri: Cri, scope: Scope): Promise<unknown> {
  const config = {
    metadata: { name: 'web-0', uid: 'cri-test', namespace: 'shop' },
    linux: { security_context: { namespace_options: NODE_NETWORK } },
  }
  const pod = await cri.call('RuntimeService', 'RunPodSandbox', { config })
  scope.defer(async () => {
    await cri.call('RuntimeService', 'StopPodSandbox', pod)
    await cri.call('RuntimeService', 'RemovePodSandbox', pod)
  })
  const container = await cri.call('RuntimeService', 'CreateContainer', {
    ...pod,
    config: { metadata: { name: 'web' }, image: { image: IMAGE }, linux: { security_context: { namespace_options: NODE_NETWORK } } },
    sandbox_config: config,
  })
  await cri.call('RuntimeService', 'StartContainer', container)
  return container.container_id
}

// ---------------------------------------------------------------- CRI

type Service = 'RuntimeService' | 'ImageService'

class Cri {
  readonly #client: Client
  readonly #services: ReadonlyMap<Service, ServiceDefinition>

  constructor(dir: string) {
    const file = join(dir, 'runtime.proto')
    writeFileSync(file, CRI_PROTO)
    const loaded = loadSync(file, { keepCase: true })
    this.#services = new Map((['RuntimeService', 'ImageService'] as const).map((name) => [name, loaded[`runtime.v1.${name}`] as ServiceDefinition]))
    this.#client = new Client(`unix://${socketOf(dir)}`, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
    })
  }

  /** Resolves when containerd answers on its socket, which it does once all its plugins are up. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + START_MS, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Resolves when CRI has heard of an image that was imported beside it; until it serves at all it answers with an error. */
  async image(name: string): Promise<void> {
    const deadline = Date.now() + CALL_MS
    for (;;) {
      const answer = await this.call('ImageService', 'ImageStatus', { image: { image: name } }).catch((error: unknown) => ({ image: undefined, error }))
      if (answer.image) return
      if (Date.now() > deadline) throw new Error(`containerd does not know ${name}`, { cause: 'error' in answer ? answer.error : undefined })
      await later(POLL_MS)
    }
  }

  call(service: Service, name: string, request: object): Promise<Record<string, unknown>> {
    const method = this.#services.get(service)?.[name]
    if (!method) return Promise.reject(new Error(`${service} has no ${name}`))
    return new Promise((resolve, reject) => {
      const onAnswer = (error: Error | null, answer?: object) => (error ? reject(error) : resolve({ ...answer }))
      this.#client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, request, { deadline: Date.now() + CALL_MS }, onAnswer)
    })
  }

  close(): void {
    this.#client.close()
  }
}

// ---------------------------------------------------------------- image

/** A `docker save` archive of one layer that holds busybox and its names. @returns its path */
async function writeImage(dir: string): Promise<string> {
  const { stdout: found } = await run('which', ['busybox'])
  const { stdout: applets } = await run('busybox', ['--list'])
  const image = join(dir, 'image')
  const rootfs = join(dir, 'rootfs')
  for (const folder of ['bin', 'etc', 'tmp', 'proc', 'root']) mkdirSync(join(rootfs, folder), { recursive: true })
  mkdirSync(image)
  copyFileSync(found.trim(), join(rootfs, 'bin/busybox'))
  for (const applet of applets.split('\n')) if (applet && applet !== 'busybox') symlinkSync('busybox', join(rootfs, 'bin', applet))
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await run('tar', ['-cf', join(image, 'layer.tar'), '-C', rootfs, '.'])
  const hash = createHash('sha256')
  await pipeline(createReadStream(join(image, 'layer.tar')), hash)
  const config = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    // One image for the container and for the sandbox: both only have to stay.
    config: { Env: ['PATH=/bin'], Cmd: ['sleep', '1000000'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${hash.digest('hex')}`] },
  }
  writeFileSync(join(image, 'config.json'), JSON.stringify(config))
  writeFileSync(join(image, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [IMAGE], Layers: ['layer.tar'] }]))
  const archive = join(dir, 'image.tar')
  await run('tar', ['-cf', archive, '-C', image, 'manifest.json', 'config.json', 'layer.tar'])
  return archive
}

// ---------------------------------------------------------------- engine

function socketOf(dir: string): string {
  return join(dir, 'c.sock')
}

/** Nothing outside `dir` but the shims' sockets, whose place is compiled in; no CNI, no cgroups, no apparmor, no lowered oom_score_adj. */
function configOf(dir: string): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"'
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = [${['aufs', 'btrfs', 'devmapper', 'overlayfs', 'zfs'].map((name) => `"io.containerd.snapshotter.v1.${name}"`).join(', ')}, "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${socketOf(dir)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
[${cri}]
  sandbox_image = "${IMAGE}"
  disable_cgroup = true
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[${cri}.cni]
  bin_dir = "${dir}/cni"
  conf_dir = "${dir}/cni"
[${cri}.containerd]
  snapshotter = "native"
[${cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[${cri}.containerd.runtimes.runc.options]
  Root = "${dir}/runc"
`
}

/** @returns `ended`: rejects with its last words when containerd ends before it was stopped */
function startEngine(dir: string, scope: Scope): { readonly ended: Promise<never> } {
  writeFileSync(join(dir, 'config.toml'), configOf(dir))
  const child = spawn('containerd', ['--config', join(dir, 'config.toml')], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARS)
  })
  const exited = once(child, 'exit')
  const ended = exited.then((): never => {
    throw new Error(`containerd ended: ${said}`)
  })
  // Nobody listens any more once it is up: then the calls fail.
  ended.catch(() => {})
  scope.defer(() => stop(child, exited))
  return { ended }
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const cut = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  child.kill('SIGTERM')
  await exited
  clearTimeout(cut)
}

// ---------------------------------------------------------------- the way out

/** Sweeps at the end of this process too: shims outlive containerd, and a test run that is told to stop runs no hooks. @returns sweeps now, and no more */
function sweepAlways(dir: string): () => void {
  const onExit = () => sweep(dir)
  const onSignal = (signal: NodeJS.Signals) => {
    done()
    process.kill(process.pid, signal)
  }
  const done = () => {
    process.off('exit', onExit).off('SIGINT', onSignal).off('SIGTERM', onSignal)
    sweep(dir)
  }
  process.on('exit', onExit).on('SIGINT', onSignal).on('SIGTERM', onSignal)
  return done
}

/**
 * Ends and removes whatever belongs to `dir`, and nothing else; synchronous, for the end of the process. First containerd,
 * which starts things; then what it was starting gets its time. A shim whose caller is gone kills its runc half-way: that leaves
 * a cgroup that runc itself does not know.
 */
function sweep(dir: string): void {
  for (const { pid, program } of processesOf(dir)) if (program === 'containerd') kill(pid)
  for (const deadline = Date.now() + STOP_MS; Date.now() < deadline && processesOf(dir).some((one) => one.isStarting); ) pause(POLL_MS)
  const runc = join(dir, 'runc/k8s.io')
  for (const id of list(runc)) spawnSync('runc', ['--root', runc, 'delete', '--force', id], { timeout: STOP_MS, stdio: 'ignore' })
  for (const { pid } of processesOf(dir)) kill(pid)
  for (const id of list(join(dir, 'state/io.containerd.runtime.v2.task/k8s.io'))) {
    rmSync(shimSocketOf(dir, id), { force: true })
    const cgroups = ['', ...list(CGROUPS)].map((controller) => join(CGROUPS, controller, id)).filter((cgroup) => existsSync(cgroup))
    if (cgroups.length > 0) spawnSync('rmdir', cgroups)
  }
  for (const mount of mountsOf(dir).reverse()) spawnSync('umount', ['-l', mount])
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
}

/** Where a shim listens: containerd 1.4 and later, runtime/v2/shim SocketAddress. The sandbox's shim has it; for other ids there is none. */
function shimSocketOf(dir: string, id: string): string {
  return `/run/containerd/s/${createHash('sha256')
    .update(join(socketOf(dir), 'k8s.io', id))
    .digest('hex')}`
}

function kill(pid: number): void {
  spawnSync('kill', ['-KILL', String(pid)], { stdio: 'ignore' })
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

interface EngineProcess {
  readonly pid: number
  readonly program: string
  /** Ends by itself: runc, or what starts a shim and leaves. */
  readonly isStarting: boolean
}

/** containerd, shims and runc name the directory in their arguments; a container's own program does not. */
function processesOf(dir: string): EngineProcess[] {
  return list('/proc').flatMap((name) => {
    const [path = '', ...argv] = /^\d+$/.test(name) ? read(`/proc/${name}/cmdline`).split('\0') : []
    const program = basename(path)
    if (!ENGINE_PROGRAMS.includes(program) || !argv.some((word) => word.startsWith(`${dir}/`))) return []
    return [{ pid: Number(name), program, isStarting: program === 'runc' || argv.includes('start') }]
  })
}

function mountsOf(dir: string): string[] {
  return read('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((mount) => mount.startsWith(`${dir}/`))
}

/** Empty when it has gone meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // a process ends, a bundle is deleted: gone is what the caller wants
    return ''
  }
}

function list(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : []
}
