/** Exit statuses as the clients see them. */
import { constants } from 'node:os'
import type { ExitStatus } from '../core/types.js'

/** 0..255; a program killed by signal n answers 128+n, as a shell would say it (contract.md, "Exit codes"); 255 for a signal without a number here. */
export function exitCode(status: ExitStatus): number {
  if (status.kind === 'exited') return status.code & 0xff
  const number = constants.signals[`SIG${status.signal}` as keyof typeof constants.signals] as number | undefined
  return number === undefined ? 255 : 128 + number
}
