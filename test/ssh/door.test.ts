import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { classifyExec, plainWords } from '../../src/ssh/door.js'

const TABLE: readonly (readonly [line: string, door: string, words?: readonly string[]])[] = [
  ['scp -t /tmp/x', 'scp', ['scp', '-t', '/tmp/x']],
  ['scp -f /tmp/x', 'scp', ['scp', '-f', '/tmp/x']],
  ['scp -v -r -p -d -t -- -odd', 'scp', ['scp', '-v', '-r', '-p', '-d', '-t', '--', '-odd']],
  ['scp -rt .', 'scp', ['scp', '-rt', '.']],
  ["scp -t '/tmp/a b'", 'scp', ['scp', '-t', '/tmp/a b']],
  ['scp -f /var/log/a\\ b', 'scp', ['scp', '-f', '/var/log/a b']],
  ['scp -f /var/log/*.log', 'scp', ['scp', '-f', '/var/log/*.log']],
  ['scp -f ~/x', 'scp', ['scp', '-f', '~/x']],
  ['scp -t /tmp/größe', 'scp', ['scp', '-t', '/tmp/größe']],
  ['scp -t', 'exec'],
  ['scp /tmp/x', 'exec'],
  ['scp -t -f /tmp/x', 'exec'],
  ['scp -tf /tmp/x', 'exec'],
  ['scp -t /tmp/x /tmp/y', 'exec'],
  ['scp -t -odd', 'exec'],
  ['scp -o ProxyCommand=x -t /tmp', 'exec'],
  ['scp -S/tmp/evil -t /tmp', 'exec'],
  ['scp -t /tmp/x; id', 'exec'],
  ['scp -t /tmp/x\nid', 'exec'],
  ['scp -t $(id)', 'exec'],
  ['scp -t `id`', 'exec'],
  ['scp -t "$HOME"', 'exec'],
  ['scp -t /tmp/x > /etc/passwd', 'exec'],
  ['scp -t /tmp/{a,b}', 'exec'],
  ['scp* -t /tmp/x', 'exec'],
  ['/usr/bin/scp -t /tmp/x', 'exec'],
  ['A=1 scp -t /tmp/x', 'exec'],
  ['rsync --server -vlogDtpre.iLsfxCIvu . /tmp/x', 'rsync', ['rsync', '--server', '-vlogDtpre.iLsfxCIvu', '.', '/tmp/x']],
  ['rsync --server --sender -e.LsfxC . /a\\ b', 'rsync', ['rsync', '--server', '--sender', '-e.LsfxC', '.', '/a b']],
  ['rsync --server . /tmp/*', 'exec'],
  ['rsync --server . /tmp && id', 'exec'],
  ['rsync -a /x /y', 'exec'],
  ['rsync', 'exec'],
  ['', 'exec'],
  ['   ', 'exec'],
  ['ls -la', 'exec'],
]
test('an exec request is classified by the whole line', () => {
  for (const [line, door, words] of TABLE) assert.deepEqual(classifyExec(line), { door, ...(words && { words }) }, line)
})

const META = [...';|&<>()$`"{}!#\n\r\0\t']
test('a line with anything a shell acts on is never scp or rsync, wherever it stands', () => {
  const actors = META.filter((char) => char !== '\t')
  fc.assert(
    fc.property(fc.constantFrom('scp -t /tmp/x', 'scp -r -f /a/b', 'rsync --server -e.L . /tmp/x'), fc.constantFrom(...actors), fc.nat(), (line, actor, at) => {
      const place = at % (line.length + 1)
      assert.equal(classifyExec(line.slice(0, place) + actor + line.slice(place)).door, 'exec')
    }),
  )
})

test('words are those that a real shell makes', () => {
  const piece = fc.oneof(
    fc.constantFrom(...'ab/.-_=:,^%@+', ' ', '  ', '\t', "'", "'", '\\', ';', '$', '"', 'ü'),
    fc.constantFrom("'a b'", "'\\'", '\\ ', "\\'", "''", '\\\\'),
  )
  const lines = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''))
  const accepted: string[] = []
  fc.assert(
    fc.property(lines, (line) => {
      const words = plainWords(line)
      if (words?.length && words.every((word) => !word.pattern)) accepted.push(line)
    }),
    { numRuns: 3000 },
  )
  // One shell for all: each line's words end in NUL, and a lone newline ends the line.
  const script = accepted.map((line) => `printf '%s\\0' ${line}; printf '\\n\\0'`).join('\n')
  const shown = execFileSync('sh', ['-c', script], { encoding: 'utf8' })
  const expected = accepted.map((line) => `${(plainWords(line) ?? []).map((word) => `${word.text}\0`).join('')}\n\0`).join('')
  assert.equal(accepted.length > 100, true)
  assert.equal(shown, expected)
})

test('no line makes the classifier throw or linger', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (line) => ['exec', 'scp', 'rsync'].includes(classifyExec(line).door)))
  const start = performance.now()
  classifyExec(`scp -t ${'a\\ '.repeat(12_000)}`)
  classifyExec(`scp -t ${"''".repeat(17_000)}`)
  assert.equal(performance.now() - start < 200, true)
})
