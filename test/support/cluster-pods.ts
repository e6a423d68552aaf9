/** Pods of a test's own in a real cluster, from images that its node has. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { kubeconfigOf } from './need.js'
import { until } from './world.js'

export interface PodSketch {
  /** Line for the image's sh. */
  readonly line: string
  readonly image?: 'busybox:local' | 'debian:local'
  readonly labels?: Readonly<Record<string, string>>
  readonly memory?: string
  readonly restart?: 'Always' | 'Never'
}

export class ClusterPods {
  readonly #kubeconfig: string
  readonly #cluster: 'a' | 'b'
  readonly #names: string[] = []
  readonly #mark = randomBytes(3).toString('hex')

  constructor(cluster: 'a' | 'b') {
    this.#cluster = cluster
    this.#kubeconfig = kubeconfigOf(cluster)
  }

  /** In namespace default. @returns its name, which no other test has */
  create(name: string, { line, image = 'busybox:local', labels = {}, memory, restart = 'Always' }: PodSketch): string {
    const own = `${name}-${this.#mark}`
    const resources = memory === undefined ? {} : { resources: { limits: { memory } } }
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: own, namespace: 'default', labels },
      spec: {
        nodeName: `node-${this.#cluster}`,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 0,
        restartPolicy: restart,
        containers: [{ name: 'app', image, imagePullPolicy: 'Never', command: ['sh', '-c', line], ...resources }],
      },
    }
    this.#names.push(own)
    this.#kubectl(['create', '-f', '-'], JSON.stringify(pod))
    return own
  }

  /** Waits until its status is as wanted. */
  async until(name: string, what: string, is: (container: ContainerStatus) => boolean, limitMs = 90_000): Promise<void> {
    await until(
      `pod ${name} to be ${what}`,
      () => {
        const { status } = JSON.parse(this.#kubectl(['get', 'pod', name, '-o', 'json'])) as { status: { containerStatuses?: ContainerStatus[] } }
        return status.containerStatuses?.[0] && is(status.containerStatuses[0])
      },
      limitMs,
    )
  }

  delete(name: string): void {
    this.#kubectl(['delete', 'pod', name, '--wait=false', '--ignore-not-found', '--grace-period=0', '--force'])
  }

  remove(): void {
    for (const name of this.#names) this.delete(name)
  }

  #kubectl(args: readonly string[], input = ''): string {
    return execFileSync('kubectl', ['--kubeconfig', this.#kubeconfig, '-n', 'default', ...args], { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
  }
}

export interface ContainerStatus {
  readonly restartCount: number
  readonly state: { readonly running?: object; readonly terminated?: { readonly reason?: string }; readonly waiting?: { readonly reason?: string } }
  readonly lastState: { readonly terminated?: { readonly reason?: string } }
}
