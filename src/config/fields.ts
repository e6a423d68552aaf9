/** The kinds of values that stand in the file. */
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { parseDuration, parseSize } from '../core/units.js'
import type { ListenAddress } from './values.js'

/** Text that `parse` turns into a value; what it throws is the mistake. */
function parsed<T>(parse: (text: string) => T, what: string) {
  return z.string(what).transform((text, context): T => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  })
}

/** The longest that a timer of Node can wait; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** "15m" -> 900000; at least `min` milliseconds. */
export const duration = (minMs = 1) =>
  parsed(parseDuration, 'must be a duration like 15m')
    .refine((ms) => ms >= minMs, `must be at least ${minMs} ms`)
    .refine((ms) => ms <= MAX_TIMER_MS, 'must be at most 24 days')

/** "4MiB" -> 4194304. */
export const size = (minBytes = 1) => parsed(parseSize, 'must be a size like 4MiB').refine((bytes) => bytes >= minBytes, `must be at least ${minBytes} bytes`)

/** A whole number of at least `min`. */
export const count = (min: number, max = 1_000_000) => z.int('must be a whole number').min(min, `must be at least ${min}`).max(max, `must be at most ${max}`)

/** HOST:PORT; an IPv6 host in brackets. Without a host it would be every address, which has to be said: 0.0.0.0. */
export const listenAddress = parsed((text): ListenAddress => {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  const host = match?.[1] ?? match?.[2]
  if (!host || port > 65535 || (match?.[1] !== undefined && isIP(match[1]) !== 6))
    throw new RangeError('must be HOST:PORT, like 127.0.0.1:2222 or "[::1]:2222"')
  return { host, port }
}, 'must be HOST:PORT, like 127.0.0.1:2222, in quotes when it starts with "["')

/** A file or folder; relative ones start at the folder of the config file. */
export const pathFrom = (folder: string) =>
  z
    .string()
    .min(1, 'must not be empty')
    .refine((path) => !path.includes('\0'), 'must not hold a NUL')
    .transform((path) => resolve(folder, path))

export const text = z.string().min(1, 'must not be empty')

/** RFC 1123 label: what stands between the dots of an address. */
export const dnsLabel = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 small letters, digits or "-": it stands in addresses')

/** Whether `host` can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Drops the keys whose value is undefined, so that absent means absent. */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<T>
}
type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** Freezes all that can be reached; for values made of objects and lists only. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) deepFreeze(part)
  return value
}
