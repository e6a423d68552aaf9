/** Durations and sizes as people write them in config files. */

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** "15m" -> 900000. @throws RangeError naming what was given and what would be right */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  if (!match) throw new RangeError(`"${text}" is not a duration: write a number and ms, s, m, h or d, like 15m`)
  return Math.round(Number(match[1]) * (MS[match[2] as string] as number))
}

/** "4MiB" -> 4194304. @throws RangeError naming what was given and what would be right */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$/.exec(text)
  if (!match) throw new RangeError(`"${text}" is not a size: write a number and B, KiB, MiB, GiB, kB, MB or GB, like 4MiB`)
  return Math.round(Number(match[1]) * (BYTES[match[2] as string] as number))
}

/** 4194304 -> "4 MiB"; for messages. */
export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`
}

/** A Kubernetes quantity as a number: "250m" is 0.25, "64Mi" is 67108864. Undefined for what is none. */
export function quantity(text: string | undefined): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(n|u|m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/.exec(text ?? '')
  return match ? Number(match[1]) * (FACTORS[match[2] ?? ''] ?? 1) : undefined
}
const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
}
