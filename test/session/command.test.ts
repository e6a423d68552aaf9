import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { cleanEnvironment } from '../../src/core/clean-environment.js'
import { execArgv, plainWords, shellArgv, vettedArgv } from '../../src/session/command.js'
import { sttyArguments } from '../../src/session/tty-modes.js'

const pty = (modes: Record<string, number>) => ({ term: 'xterm', size: { columns: 80, rows: 24, widthPx: 0, heightPx: 0 }, modes })

test('modes equal to the defaults are left alone, and a line without a terminal runs as it is', () => {
  assert.deepEqual(sttyArguments({ ECHO: 1, ICRNL: 1, VERASE: 127, IUTF8: 0, TTY_OP_ISPEED: 38400 }), [])
  assert.deepEqual(execArgv('date', undefined), ['/bin/sh', '-c', 'date'])
})
test('modes that differ become stty arguments, from known names only', () => {
  assert.deepEqual(sttyArguments({ ECHO: 0, IUTF8: 1, VERASE: 8, VINTR: 255, EVIL: 1 }), ['iutf8', '-echo', 'intr', 'undef', 'erase', '^H'])
  assert.match(shellArgv(pty({ VERASE: 39 }))[2] ?? '', /^stty rows 24 cols 80 erase ''\\''' /)
})
test('an exec line reaches the shell whole, whatever it holds', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), (word) => {
      const line = `printf %s '${word.replaceAll("'", "'\\''")}'`
      for (const argv of [execArgv(line, undefined), execArgv(line, pty({ ECHO: 0 }))]) {
        assert.equal(execFileSync(argv[0] as string, argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }), word)
      }
    }),
    { numRuns: 40 },
  )
})
test('a vetted line gets the clean environment whatever the image sets, and keeps what its processes are found by', () => {
  const image = { HOME: '/root', DOCKIN_EXEC: 'a b', LD_LIBRARY_PATH: '/evil', GIT_SSH_COMMAND: 'evil', PAGER: 'evil', PATH: '/nowhere' }
  for (const terminal of [undefined, pty({})]) {
    const argv = vettedArgv('printf \'%s\' "$HOME;$PWD"; env', cleanEnvironment({ LANG: 'C', GIT_PAGER: 'evil' }, terminal?.term), terminal)
    const out = execFileSync(argv[0] as string, argv.slice(1), { encoding: 'utf8', env: image, cwd: '/', stdio: ['ignore', 'pipe', 'ignore'] })
    assert.match(out, /^\/root;\//)
    assert.match(out, /^DOCKIN_EXEC=a b$/m)
    assert.match(out, /^GIT_PAGER=cat$/m)
    assert.match(out, /^PATH=\/usr\/local\/sbin:/m)
    assert.doesNotMatch(out, /evil|nowhere|DOCKIN_SESSION/)
    assert.equal(/^TERM=xterm$/m.test(out), terminal !== undefined)
  }
})
test('only a line that no shell would change counts as plain words', () => {
  assert.deepEqual(plainWords('  /pause --flag=1  x '), ['/pause', '--flag=1', 'x'])
  for (const line of ['', ' ', 'a=b c', 'echo $x', 'a;b', 'ls *', "echo 'x'", 'a|b', 'a&', 'a\nb', '~/x', 'a\\b', '{a,b}', '#x', '[ a ]', '!x', 'a>b']) {
    assert.equal(plainWords(line), undefined, line)
  }
})
