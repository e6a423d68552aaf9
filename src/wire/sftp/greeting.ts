/** How a server answers INIT. */
import { EXACT_EXTENSION, EXTENSIONS, FETCH_EXTENSION, readHello, writeHello } from './packets.js'

const VERSION = 3

/** @returns whether the client is one of ours, and VERSION for it @throws OpsError PROTOCOL_ERROR when the packet is no INIT */
export function greet(packet: Buffer): { readonly isExact: boolean; readonly answer: readonly Buffer[] } {
  const isExact = readHello(packet, 'init').extensions.has(EXACT_EXTENSION)
  const said = new Map(isExact ? [...EXTENSIONS, [EXACT_EXTENSION, '1'] as const, [FETCH_EXTENSION, '1'] as const] : EXTENSIONS)
  return { isExact, answer: writeHello({ type: 'version', version: VERSION, extensions: said }) }
}
