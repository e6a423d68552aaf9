import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { build } from 'esbuild'
import { silentLogger } from '../../src/core/log.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'
import { loadCheckpointKey } from '../../src/store/checkpoint-key.js'
import { TapeFile } from '../../src/store/tape-file.js'
import { CastParser } from '../../src/wire/asciicast.js'
import { verifyEvidence } from '../../src/wire/evidence/verify.js'
import { bytesOf } from '../contract/tape-store.js'
import { tempDir } from '../support/temp-dir.js'

const KILLS = 200

/** The writer with all that it imports in one file: 200 starts must not each pay for a compiler and hundreds of small files. */
async function bundledWriter(t: TestContext): Promise<string> {
  const outfile = join(await tempDir(t), 'writer.mjs')
  const banner = { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
  await build({
    entryPoints: [join(import.meta.dirname, 'evidence-writer.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
    banner,
  })
  return outfile
}

/** Starts the writer, lets it live for a moment, kills it. @returns the highest number that it had acknowledged */
async function kill(writer: string, dataDir: string, run: number, momentMs: number): Promise<number> {
  const child = spawn(process.execPath, [writer, dataDir, String(run)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let highest = 0
  let rest = ''
  let dying = false
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== 'ready') highest = Math.max(highest, Number(line))
    if (dying) continue
    dying = true
    setTimeout(() => child.kill('SIGKILL'), momentMs)
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL', 'the writer must not end by itself')
  return highest
}

test(`${KILLS} kills at random points lose no acknowledged event, break no chain and leave every recording readable`, { timeout: 600_000 }, async (t) => {
  const dataDir = await tempDir(t)
  const writer = await bundledWriter(t)
  let acknowledged = 0
  for (let run = 0; run < KILLS; run++) {
    acknowledged = Math.max(acknowledged, await kill(writer, dataDir, run, Math.random() * 120))
    if (run % 20 !== 0) continue
    const store = new AuditFile(join(dataDir, 'audit'))
    const last = await store.last()
    await store.close()
    assert.ok((last?.seq ?? 0) >= acknowledged, `event ${acknowledged} was acknowledged, ${last?.seq} is the last held`)
  }
  // the next start: what is unclosed is sealed, and said so
  const key = await loadCheckpointKey(join(dataDir, 'state', 'checkpoint_ed25519'))
  const log = await AuditLog.open({ stores: [new AuditFile(join(dataDir, 'audit'))], onFailure: 'refuse', logger: silentLogger, key })
  const tapes = new TapeFile({ dataDir })
  await tapes.recover(log)
  assert.ok(log.status().head.seq >= acknowledged)
  await log.close()
  const report = await verifyEvidence(dataDir)
  assert.deepEqual(report.problems, [])
  assert.ok((report.range?.count ?? 0) > acknowledged)
  const recordings = (await readdir(join(dataDir, 'recordings'), { recursive: true })).filter((name) => /\.cast/.test(name))
  assert.ok(recordings.length >= KILLS, `${recordings.length} recordings`)
  for (const name of recordings) {
    assert.match(name, /\.cast\.gz$/, 'none is left unclosed')
    const parser = new CastParser()
    parser.push(await bytesOf(await tapes.open(/([^/]+)\.cast\.gz$/.exec(name)?.[1] ?? '')))
    assert.ok(!parser.torn, `${name} ends with a whole line`)
  }
  t.diagnostic(`${acknowledged} events acknowledged, ${recordings.length} recordings`)
  // the same data, cut by hand: the verifier is not blind
  const copy = join(await tempDir(t), 'copy')
  await cp(dataDir, copy, { recursive: true })
  await writeFile(join(copy, 'recordings', recordings[0] ?? ''), 'x')
  assert.equal((await verifyEvidence(copy)).problems[0]?.where, `recordings/${recordings[0]}`)
})
