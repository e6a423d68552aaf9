import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { AuditFile } from '../../src/store/audit-file.js'
import { GENESIS, verifyChain } from '../../src/wire/evidence/chain.js'
import { tempDir } from '../support/temp-dir.js'

const ROUNDS = 30
const WRITER = fileURLToPath(new URL('./audit-writer.ts', import.meta.url))

test(`no acknowledged event is lost and the chain is whole after ${ROUNDS} kills at random points`, { timeout: 600_000 }, async (t) => {
  const dir = await tempDir(t)
  let acknowledged = 0
  for (let round = 0; round < ROUNDS; round++) {
    const reached = await killWriter(dir, acknowledged, 1 + Math.floor(Math.random() * 200), Math.random() * 3)
    assert.ok(reached > acknowledged)
    acknowledged = reached
    const store = new AuditFile(dir)
    const last = await store.last()
    assert.ok(last && last.seq >= acknowledged, `event ${acknowledged} was acknowledged, ${last?.seq} is the last held`)
    await store.close()
  }
  const store = new AuditFile(dir)
  t.after(() => store.close())
  const report = await verifyChain(store.query({}), { after: GENESIS })
  assert.ok(report.ok, JSON.stringify(report))
  assert.ok(report.count >= acknowledged)
})

/** Runs the writer until it has acknowledged `events` more, waits a moment and kills it. @returns the highest number it acknowledged */
async function killWriter(dir: string, from: number, events: number, momentMs: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let highest = from
  let rest = ''
  let dying = false
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) highest = Math.max(highest, Number(line))
    if (highest < from + events || dying) continue
    dying = true
    setTimeout(() => child.kill('SIGKILL'), momentMs)
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL', 'the writer must not end by itself')
  return highest
}
