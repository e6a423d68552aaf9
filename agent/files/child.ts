/** The program of a file session: confines itself, then serves SFTP on one stream until that ends. Started by start-files.ts only. */
import { writeSync } from 'node:fs'
import { confine } from './confine.js'
import { errnoOf } from './errno.js'
import { NodeFiles } from './node-files.js'
import { type FilesAnswer, type FilesPlan, SFTP_FD } from './plan.js'
import { serveBlocking } from './serve-blocking.js'
import { loadSystem } from './system.js'

const STDOUT = 1

// Nothing is awaited before the privileges are given up, and nothing is loaded after: the root is not ours then.
const plan = JSON.parse(process.argv[2] ?? '') as FilesPlan
const system = loadSystem()
const home = begin()
if (home === undefined) process.exit(1)
const files = new NodeFiles({ via: plan.kind, home: Buffer.from(home), lends: true, openLiteral: system.openLiteral })
// how it ended is seen by who started it: this process is of no more use either way
await serveBlocking(SFTP_FD, files).catch(() => {})
process.exit(0)

function begin(): string | undefined {
  try {
    if (plan.kind === 'here') {
      system.endWithParent()
      process.chdir(plan.home)
      answer({ ok: true, uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1, capabilities: '', joined: [] })
      return plan.home
    }
    const { user, capabilities, joined, home } = confine(plan, system)
    answer({ ok: true, uid: user.uid, gid: user.gid, capabilities: capabilities.toString(16).padStart(16, '0'), joined })
    return home
  } catch (error) {
    answer({ ok: false, isGone: errnoOf(error) === 'ESRCH' || errnoOf(error) === 'ENOENT', reason: error instanceof Error ? error.message : String(error) })
    return undefined
  }
}

function answer(text: FilesAnswer): void {
  writeSync(STDOUT, `${JSON.stringify(text)}\n`)
}
