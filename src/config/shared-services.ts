/** Sections of opserver.yaml for what several programs of the family share: the resource manager, and the pod cache in Redis. */
import { z } from 'zod'
import { count, duration, pathFrom, present, text } from './fields.js'
import { redisUrl } from './schema.js'
import type { PodCacheConfig, ResourceManagerConfig } from './values.js'

const labelName = text.max(317, 'must be at most 317 characters')

export const resourceManagerSchema = (folder: string) =>
  z
    .strictObject({
      url: z.url({ protocol: /^https?$/, error: 'must be http://HOST[:PORT]/PATH, up to the names of the methods' }).exactOptional(),
      tokenFile: pathFrom(folder).exactOptional(),
      timeout: duration(10).default(5000),
      cacheFor: duration().default(30_000),
      labels: z
        .strictObject({ subsystem: labelName.default('subsystem'), subsystemId: labelName.default('subsystem-id'), dcn: labelName.default('dcn') })
        .prefault({}),
    })
    .prefault({})
    .transform(({ timeout, cacheFor, ...same }): ResourceManagerConfig => present({ ...same, timeoutMs: timeout, cacheMs: cacheFor }))

export const podCacheSchema = z
  .strictObject({
    url: redisUrl,
    expire: duration(60_000).default(24 * 3_600_000),
    lease: duration(1000).default(10_000),
    maxEvents: count(100).default(10_000),
  })
  .transform(({ expire, lease, ...same }): PodCacheConfig => ({ ...same, expireMs: expire, leaseMs: lease }))
