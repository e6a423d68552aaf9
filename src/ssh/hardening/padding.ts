/** Random padding of SSH packets (RFC 4253 s6) from a pool: asking OpenSSL for each packet's few bytes cost more than encrypting it. */
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 64 * 1024

/** @returns fills `packet` from `start` with `length` random bytes that are used for nothing else and never again; stands in for randomFillSync */
export function paddingFiller(): (packet: Buffer, start: number, length: number) => void {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  let used = POOL_BYTES
  return (packet, start, length) => {
    if (used + length > POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    pool.copy(packet, start, used, used + length)
    used += length
  }
}
