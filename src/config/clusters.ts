/** One entry of `clusters`: kubernetes, a docker host, or shells on this machine. The key that is there says which. */
import { isIP } from 'node:net'
import { z } from 'zod'
import { count, dnsLabel, pathFrom, text } from './fields.js'
import type { ClusterConfig } from './values.js'

const host = z
  .string()
  .refine((value) => isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(value), 'must be a host name or an address, without port')
const agent = z.strictObject({
  port: count(1, 65535),
  hosts: z.record(z.string(), host).default({}),
})

const kubernetes = (folder: string) =>
  z
    .strictObject({
      name: dnsLabel,
      kubeconfig: pathFrom(folder),
      context: text.exactOptional(),
      via: z.enum(['agent', 'apiserver', 'auto']).exactOptional(),
      agent: agent.exactOptional(),
      namespaces: z.array(dnsLabel).min(1, 'must not be empty: leave the key out to follow all').exactOptional(),
      setIdKeys: z.array(text).min(1, 'must not be empty').exactOptional(),
    })
    .refine(({ via, agent }) => agent !== undefined || (via !== 'agent' && via !== 'auto'), {
      when: ({ value }) => typeof value === 'object' && value !== null,
      path: ['via'],
      error: 'needs agent: {port: …} to know where the agents listen',
    })
    .transform((cluster): ClusterConfig => ({ kind: 'kubernetes', ...cluster, via: cluster.via ?? (cluster.agent ? 'auto' : 'apiserver') }))

const docker = z
  .strictObject({
    name: dnsLabel,
    docker: z.string().regex(/^(unix:\/\/\/\S+|tcp:\/\/(\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+):\d{1,5})$/, 'must be unix:///PATH or tcp://HOST:PORT'),
  })
  .transform((cluster): ClusterConfig => ({ kind: 'docker', ...cluster }))

const local = z
  .strictObject({ name: dnsLabel, local: z.strictObject({ pods: z.array(dnsLabel).min(1, 'must name at least one pod') }) })
  .transform(({ name, local: { pods } }): ClusterConfig => ({ kind: 'local', name, pods }))

/** A map with none or several of the three keys; nothing else of it is looked at. */
const unclear = z
  .looseObject({})
  .refine(() => false, { error: 'must have exactly one of kubeconfig, docker and local' })
  .transform((): ClusterConfig => ({ kind: 'local', name: '', pods: [] }))

/** @param value what stands in the file: decides which form is meant, so that its mistakes are named and not those of all forms */
export function clusterSchema(folder: string, value: unknown): z.ZodType<ClusterConfig> {
  if (typeof value !== 'object' || value === null) return unclear
  const forms = [
    ['kubeconfig', kubernetes(folder)],
    ['docker', docker],
    ['local', local],
  ] as const
  const meant = forms.filter(([key]) => Object.hasOwn(value, key))
  const [only] = meant
  return only && meant.length === 1 ? only[1] : unclear
}
