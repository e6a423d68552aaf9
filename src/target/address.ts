/**
 * The grammar of a target address (contract.md, "Address"): `POD[.NAMESPACE[.CLUSTER]][+CONTAINER]`.
 * POD may hold dots itself, and so may the name of a cluster; therefore a text has several readings, and whoever looks
 * them up decides which of them exist.
 */
import { OpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'

/** One way to understand an address. `pod` may also be an IP, a pod-set id or a workload name. */
export interface AddressReading {
  readonly pod: string
  readonly namespace?: string
  readonly cluster?: string
}
export interface Address {
  /** What was typed, without the container. */
  readonly text: string
  readonly container?: string
  /** Never empty; the one with the longest POD first. At most one reading for every dot, and one more. */
  readonly readings: readonly AddressReading[]
}

/** POD 253 (RFC 1123 subdomain), namespace, cluster and container 63 each, three separators, and some room for docker names. */
const MAX_ADDRESS_CHARS = 512
const FORM = 'write POD[.NAMESPACE[.CLUSTER]][+CONTAINER]'
/** Kubernetes names are a subset; docker names add upper case and "_". */
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_-]*$/
const CONTAINER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/

/**
 * Reads an address.
 * @throws OpsError TARGET_REQUIRED when empty, TARGET_SYNTAX with what is wrong and what would be right
 */
export function parseAddress(address: string): Address {
  if (address === '') throw new OpsError('TARGET_REQUIRED', 'parse address: it is empty')
  if (address.length > MAX_ADDRESS_CHARS) throw syntax(address, `longer than ${MAX_ADDRESS_CHARS} characters`)
  const plus = address.indexOf('+')
  const text = plus < 0 ? address : address.slice(0, plus)
  const container = plus < 0 ? undefined : address.slice(plus + 1)
  if (container !== undefined && !CONTAINER.test(container)) throw syntax(address, container === '' ? 'no container after "+"' : badCharacter(container))
  const segments = text.split('.')
  for (const segment of segments) {
    if (!SEGMENT.test(segment)) throw syntax(address, segment === '' ? 'an empty name' : badCharacter(segment))
  }
  return { text, readings: readingsOf(segments), ...(container === undefined ? {} : { container }) }
}

/** Prints a reading the way `parseAddress` reads it. */
export function formatAddress(parts: AddressReading & { readonly container?: string }): string {
  const names = [parts.pod, parts.namespace, parts.cluster].filter((name) => name !== undefined).join('.')
  return parts.container === undefined ? names : `${names}+${parts.container}`
}

function readingsOf(segments: readonly string[]): AddressReading[] {
  const join = (from: number, to?: number) => segments.slice(from, to).join('.')
  const last = segments.length - 1
  const readings: AddressReading[] = [{ pod: join(0) }]
  if (last >= 1) readings.push({ pod: join(0, last), namespace: join(last) })
  // A namespace is an RFC 1123 label and holds no dot; what stands after it is the cluster's name.
  for (let i = last - 1; i >= 1; i--) readings.push({ pod: join(0, i), namespace: join(i, i + 1), cluster: join(i + 1) })
  return readings
}

function badCharacter(name: string): string {
  const bad = /[^A-Za-z0-9_.-]/u.exec(name)?.[0]
  return bad === undefined ? `"${escapePeerText(name, 64)}" may not start with "${name[0]}"` : `"${escapePeerText(bad)}" may not appear`
}

function syntax(address: string, why: string): OpsError {
  const shown = escapePeerText(address, 80)
  return new OpsError('TARGET_SYNTAX', `parse address "${shown}": ${why}`, { detail: `"${shown}": ${why}; ${FORM}` })
}
