/** Small steps that the tests of the runtimes share. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PtyRequest, RemoteProcess } from '../../../src/core/types.js'

export const size = { columns: 123, rows: 45, widthPx: 0, heightPx: 0 }
export const pty: PtyRequest = { term: 'xterm-256color', size, modes: {} }

/** Durations for sleep(1) that no other run of any test uses, to find the programs of this one. */
export function markMaker(first: number): () => string {
  let next = first
  return () => `${next++}.${process.pid}`
}

/** Lines of ps(1) that hold `needle`. */
export function processes(needle: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(needle))
}

export async function untilGone(needle: string): Promise<void> {
  const limit = Date.now() + 10_000
  while (processes(needle).length > 0) {
    assert.ok(Date.now() < limit, `still there: ${processes(needle).join('; ')}`)
    await sleep(20)
  }
}

/** Reads until `wanted` has come; fails when the lane ends before. */
export async function untilShown(lane: Readable, wanted: string): Promise<string> {
  let seen = ''
  for (;;) {
    const chunk = lane.read() as Buffer | null
    if (chunk) seen += chunk.toString()
    if (seen.includes(wanted)) return seen
    assert.ok(!lane.readableEnded && !lane.destroyed, `ended without ${wanted}: ${seen}`)
    const watch = new AbortController()
    if (!chunk) await Promise.race(['readable', 'end', 'close'].map((event) => once(lane, event, { signal: watch.signal }).catch(() => {})))
    watch.abort()
  }
}

export async function exitOf(process: RemoteProcess): Promise<number> {
  const status = await process.exit
  assert.equal(status.kind, 'exited')
  return status.kind === 'exited' ? status.code : -1
}
