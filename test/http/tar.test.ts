import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { tarOf } from '../../src/http/tar.js'
import { tempDir } from '../support/temp-dir.js'

async function* chunks(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part)
}

test('tar(1) unpacks what was packed', async (t) => {
  const dir = await tempDir(t)
  const entries = [
    { name: 'empty', bytes: 0, content: Buffer.alloc(0) },
    { name: 'a/b/text', bytes: 5, content: chunks('he', 'llo') },
    { name: 'block', bytes: 512, content: Buffer.alloc(512, 'x') },
  ]
  writeFileSync(join(dir, 'x.tar'), await buffer(tarOf(entries, new Date(0))))
  execFileSync('tar', ['-xf', 'x.tar'], { cwd: dir })
  assert.equal(readFileSync(join(dir, 'a/b/text'), 'utf8'), 'hello')
  assert.equal(readFileSync(join(dir, 'empty')).length, 0)
  assert.equal(readFileSync(join(dir, 'block'), 'utf8'), 'x'.repeat(512))
})

test('a pack whose file has another size breaks instead of looking whole', async () => {
  await assert.rejects(buffer(tarOf([{ name: 'a', bytes: 4, content: chunks('abc') }], new Date(0))), { code: 'INTERNAL' })
  await assert.rejects(buffer(tarOf([{ name: 'x'.repeat(101), bytes: 0, content: Buffer.alloc(0) }], new Date(0))), { code: 'INTERNAL' })
})
