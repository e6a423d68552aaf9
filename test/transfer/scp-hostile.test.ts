/** What no scp client would send. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { NodeFiles } from '../../agent/files/node-files.js'
import { FileError } from '../../src/core/files.js'
import { serveScp } from '../../src/transfer/scp.js'
import { parseScpWords } from '../../src/transfer/scp-options.js'
import { ScpError } from '../../src/wire/scp-record.js'

function folder(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'dockin-scp-')))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
/** A whole conversation whose client says `input` and leaves. */
async function converse(dir: string, words: string, input: Buffer | string): Promise<{ code: number; output: string }> {
  const files = new NodeFiles({ via: 'test', home: Buffer.from(dir) })
  const [stdin, stdout] = [new PassThrough(), new PassThrough({ highWaterMark: 1 << 24 })]
  stdin.end(input)
  const code = await serveScp(parseScpWords(words.split(' '), files.home), stdin, stdout, files)
  await files.close()
  stdout.end()
  const parts: Buffer[] = []
  for await (const part of stdout) parts.push(part as Buffer)
  return { code, output: Buffer.concat(parts).toString('latin1') }
}

test('only the two words of scp’s own protocol are taken', () => {
  const home = Buffer.from('/home/u')
  const path = (line: string): string => parseScpWords(line.split(' '), home).path.toString()
  assert.equal(path('scp -t -- -odd'), '-odd')
  assert.equal(path('scp -f ~/x'), '/home/u/x')
  assert.equal(path('scp -f ~'), '/home/u')
  for (const line of [
    'scp -t',
    'scp x',
    'scp -tf x',
    'scp -t -f x',
    'scp -t -odd',
    'scp -S sh -t x',
    'scp -o A=b -t x',
    'ssh -t x',
    'scp -t a b',
    'scp -F/x -t y',
  ])
    assert.throws(() => path(line), ScpError, line)
})
test('a name that leads out ends the conversation and writes nothing', async (t) => {
  const dir = folder(t)
  mkdirSync(join(dir, 'in'))
  for (const record of [
    'C0644 1 ../x\nx\0',
    'C0644 1 a/b\nx\0',
    'D0755 0 ..\n',
    'C0644 1 .\nx\0',
    'E\n',
    'E\nE\n',
    'nonsense\n',
    'C0644 5 ok\n12',
    `C0644 1 ${'n'.repeat(9000)}`,
  ]) {
    const { code, output } = await converse(dir, `scp -r -t ${dir}/in`, record)
    assert.equal(code, 1, record.slice(0, 40))
    assert.match(output, /\x02scp: /)
  }
  assert.deepEqual(readdirSync(dir), ['in'])
})
test('a directory without -r, a size of a lie, and -d on a file are refused', async (t) => {
  const dir = folder(t)
  assert.match((await converse(dir, `scp -t ${dir}`, 'D0755 0 d\n')).output, /received directory without -r/)
  writeFileSync(join(dir, 'f'), 'x')
  assert.match((await converse(dir, `scp -t -d ${dir}/f`, '')).output, /Not a directory/)
  assert.equal((await converse(dir, `scp -t ${dir}`, 'C0644 99999999999999999 x\n')).code, 1)
  assert.equal(existsSync(join(dir, 'x')), false)
})
test('links that lead back end as an error of theirs, and the rest is given', async (t) => {
  const dir = folder(t)
  mkdirSync(join(dir, 'tree/sub'), { recursive: true })
  symlinkSync('..', join(dir, 'tree/sub/up'))
  symlinkSync('nowhere', join(dir, 'tree/dead'))
  writeFileSync(join(dir, 'tree/file'), 'content')
  const { code, output } = await converse(dir, `scp -r -f ${dir}/tree`, Buffer.alloc(100))
  assert.equal(code, 1)
  assert.match(output, /leads back/)
  assert.match(output, /No such file/)
  assert.match(output, /C0644 7 file\ncontent\0/)
})
test('a file that cannot be written is a warning, and the next one arrives', async (t) => {
  const dir = folder(t)
  mkdirSync(join(dir, 'taken'))
  const { code, output } = await converse(dir, `scp -t ${dir}`, 'C0644 1 taken\nC0644 2 next\nok\0')
  assert.equal(code, 1)
  assert.match(output, /\x01scp: .*taken: Is a directory\n/)
  assert.equal(readFileSync(join(dir, 'next'), 'utf8'), 'ok')
})
test('any conversation ends, and stays in its folder', async (t) => {
  const dir = folder(t)
  mkdirSync(join(dir, 'in'))
  const piece = fc.oneof(
    fc.constantFrom(
      '\0',
      '\x01no\n',
      '\x02end\n',
      'E\n',
      'T1 0 2 0\n',
      'C0644 3 f\n',
      'abc\0',
      'D0755 0 d\n',
      'C0600 0 e\n\0',
      'C0644 1 ../x\n',
      '\n',
      'D0755 0 f\n',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  )
  const words = fc.constantFrom('-t', '-rt', '-rpt', '-f', '-rpf', '-dt').map((flags) => `scp ${flags} ${dir}/in`)
  await fc.assert(
    fc.asyncProperty(words, fc.array(piece, { maxLength: 12 }), async (line, pieces) => {
      try {
        const { code } = await converse(dir, line, Buffer.from(pieces.join(''), 'latin1'))
        assert.ok(code === 0 || code === 1)
      } catch (error) {
        assert.ok(error instanceof FileError)
      }
      assert.deepEqual(readdirSync(dir), ['in'])
    }),
    { numRuns: 400 },
  )
})
