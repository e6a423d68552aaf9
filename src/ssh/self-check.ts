/** What an operator should know about ssh2 on this machine before the first user connects. */
import { loadSsh2 } from './hardening/load.js'
import { HYBRID_KEX_NAME } from './hardening/source-edits.js'
import { SSH2_VERSION } from './hardening/source-pins.js'
import type { Ssh2Library } from './transport.js'

export interface SelfCheck {
  readonly ssh2: string
  /** ssh2's compiled cipher code loads in this Node. */
  readonly native: boolean
  readonly postQuantum: string
  /** Empty when all is well; each says what is slow or missing and what to do. */
  readonly warnings: readonly string[]
}

/**
 * The addon is bound to one Node ABI and ssh2 goes on without it in silence, so this is the only place that says so.
 * @throws Error when ssh2 is not the version that was tested
 */
export function selfCheck(library: Ssh2Library = loadSsh2()): SelfCheck {
  const native = library.bindingAvailable
  const warnings = native
    ? []
    : [
        `ssh2 ${SSH2_VERSION} has no native binding for Node ${process.version} (ABI ${process.versions.modules}): ciphers run slower and ` +
          'chacha20-poly1305 is not offered; run "npm rebuild ssh2" with this Node',
      ]
  return { ssh2: SSH2_VERSION, native, postQuantum: HYBRID_KEX_NAME, warnings }
}
