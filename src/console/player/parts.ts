/** Parts of a recording, asked of the gateway. */
import type { ApiClient } from '../../wire/api/client.js'
import { type CastPart, parsePart } from './cast.js'
import type { FetchPart } from './reel.js'

/** What the first frame needs; and what is played on from. */
const FIRST_BYTES = 64 * 1024
const PART_BYTES = 512 * 1024

/** Where a replay begins: at a second, at a command by the number of its event, at the moment of an event. */
export type Begin = { readonly from: number } | { readonly seq: number } | { readonly time: string }

/** What an address asks for: `at` in seconds, `seq` or `time`; undefined when it names no place. */
export function beginOf(search: URLSearchParams): Begin | undefined {
  const [at, seq, time] = [Number(search.get('at') ?? Number.NaN), Number(search.get('seq')), search.get('time') ?? '']
  if (Number.isFinite(at)) return { from: Math.max(0, at) }
  if (Number.isSafeInteger(seq) && seq > 0) return { seq }
  return Number.isNaN(Date.parse(time)) ? undefined : { time }
}

/** @throws ApiError; Error for what is no recording */
export async function firstPart(api: ApiClient, id: string, begin: Begin, signal: AbortSignal): Promise<CastPart> {
  return parsePart(await (await api.getRecording({ params: { id }, query: { limit: FIRST_BYTES, ...begin }, signal })).text())
}

export function partsOf(api: ApiClient, id: string): FetchPart {
  return async (place, signal) => parsePart(await (await api.getRecording({ params: { id }, query: { limit: PART_BYTES, ...place }, signal })).text())
}
