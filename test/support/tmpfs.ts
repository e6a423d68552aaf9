/** A file system of its own, small, that a test can fill or make read-only. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** False where a tmpfs can be mounted, else the reason for node:test's `skip`. */
export const needsMount: false | string = (() => {
  if (process.getuid?.() !== 0) return 'mounting a file system needs root'
  const dir = mkdtempSync(join(tmpdir(), 'dockin-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', dir], { stdio: 'ignore' })
    execFileSync('umount', [dir], { stdio: 'ignore' })
    return false
  } catch {
    return 'no tmpfs can be mounted here'
  } finally {
    rmdirSync(dir)
  }
})()

/** @param size as mount takes it: "256k" */
export async function mountTmpfs(t: TestContext, size: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-mount-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'none', dir])
  t.after(() => {
    execFileSync('umount', ['-l', dir])
    rmdirSync(dir)
  })
  return dir
}
