import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { readRsync } from '../../src/session/rsync.js'
import { needs } from '../support/need.js'

const server = (...words: string[]): string[] => ['rsync', '--server', ...words]

test('the direction is the sender’s', () => {
  assert.deepEqual(readRsync(server('-logDtpre.iLsfxCIvu', '.', '/tmp/x')), { direction: 'upload', removesSources: false })
  assert.deepEqual(readRsync(server('--sender', '-re.L', '.', '/tmp/x')), { direction: 'download', removesSources: false })
  assert.deepEqual(readRsync(server('--sender', '-re.L', '--remove-source-files', '.', 'x')), { direction: 'download', removesSources: true })
})

const REFUSED: readonly (readonly string[])[] = [
  ['--daemon', '.'],
  ['--config=/tmp/x', '.', '.'],
  ['--rsh=sh', '.', '.'],
  ['--rsync-path=sh', '.', '.'],
  ['-e', 'sh', '.', '.'],
  ['-esh', '.', '.'],
  ['-ve', 'sh -c id', '.', '.'],
  ['-se.L', '.', '.'],
  ['-vs', '.', '.'],
  ['--secluded-args', '.', '.'],
  ['--protect-args', '.', '.'],
  ['--log-file=/etc/x', '.', '.'],
  ['--write-devices', '.', '.'],
  ['--copy-devices', '.', '.'],
  ['--password-file=/x', '.', '.'],
  ['--address=0.0.0.0', '.', '.'],
  ['-M--daemon', '.', '.'],
  ['--remote-option=--daemon', '.', '.'],
  ['-re.L', '.', '/tmp/x', '--daemon'],
  ['-re.L', '.', '/tmp/x', '--config=/x'],
  ['--dparam=x', '.'],
  ['--no-detach', '.'],
  ['--', '--daemon'],
  ['--server-x', '.'],
]
test('an option that starts a program, listens, reads a config or hides its arguments is refused by name', () => {
  for (const words of REFUSED) assert.throws(() => readRsync(server(...words)), { code: 'FILE_REFUSED', message: /rsync refused: option -/ }, words.join(' '))
  assert.throws(() => readRsync([]), OpsError)
  assert.throws(() => readRsync(['rsync', '-a', 'x', 'y']), OpsError)
})

test('what rsync itself sends is taken', { skip: needs.program('rsync') }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-rsync-'))
  try {
    // a "remote shell" that writes down what it is asked to run
    const shell = join(dir, 'shell')
    writeFileSync(shell, `#!/bin/sh\nshift\nprintf '%s\\n' "$@" > ${dir}/argv\n`)
    chmodSync(shell, 0o755)
    for (const flags of [
      '-a',
      '-avz',
      '-aHAXS --numeric-ids',
      '-rtvu --delete --partial',
      '-a --inplace --bwlimit=1000 --timeout=5',
      '-rlz --checksum',
      '-a --delete-after --backup --backup-dir=b --max-size=1M',
      '-n -a -i',
      '-R -a --exclude=x',
      '-a --append-verify',
      '-a --mkpath --chmod=u+w',
    ]) {
      for (const ends of [
        [dir, 'h:/tmp/x'],
        ['h:/tmp/x', dir],
      ]) {
        try {
          execFileSync('rsync', [...flags.split(' '), '-e', shell, ...ends], { stdio: 'ignore' })
        } catch {
          // nobody answers: the line is all that is wanted
        }
        const words = readFileSync(join(dir, 'argv'), 'utf8').trim().split('\n')
        assert.equal(readRsync(words).direction, ends[0] === dir ? 'upload' : 'download', words.join(' '))
      }
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test('no line makes the reader throw anything but a refusal', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 20 }), { maxLength: 8 }), (words) => {
      try {
        readRsync(server(...words))
        assert.ok(words.every((word) => !/^--(daemon|config|rsh|log-file)/.test(word)))
      } catch (error) {
        assert.ok(error instanceof OpsError)
      }
    }),
  )
})
