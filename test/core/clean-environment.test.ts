import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanEnvironment, environmentWords } from '../../src/core/clean-environment.js'

/** What of `asked` came through. */
function passed(asked: Record<string, string>): Record<string, string> {
  const names = new Set(Object.keys(cleanEnvironment({}, undefined)))
  return Object.fromEntries(Object.entries(cleanEnvironment(asked, undefined)).filter(([name]) => !names.has(name)))
}

test('only encodings that cannot hide a byte, and names of time zones, pass to a vetted line', () => {
  const good = { LANG: 'C', LC_ALL: 'C.UTF-8', LC_TIME: 'en_US.utf8', TZ: 'America/Argentina/Ushuaia', COLORTERM: 'truecolor' }
  assert.deepEqual(passed(good), good)
  const bad = { LANG: 'ja_JP.SJIS', LC_ALL: '../../x', LC_CTYPE: 'en_US', LC_TIME: 'en_US.UTF-8/../x', TZ: '/etc/passwd', COLORTERM: '$(x)' }
  assert.deepEqual(passed(bad), {})
})
test('what starts programs is ours whatever the client asks', () => {
  const evil = { PAGER: 'x', GIT_PAGER: 'x', LD_PRELOAD: '/x', BASH_ENV: '/x', ENV: '/x', PATH: '/x', GIT_CONFIG_COUNT: '0', EDITOR: 'x' }
  assert.deepEqual(cleanEnvironment(evil, undefined), cleanEnvironment({}, undefined))
})
test('a terminal name is taken when it is a name', () => {
  assert.equal(cleanEnvironment({}, 'xterm-256color').TERM, 'xterm-256color')
  assert.equal(cleanEnvironment({}, '../x').TERM, 'dumb')
  assert.equal('TERM' in cleanEnvironment({}, undefined), false)
  assert.ok(environmentWords(cleanEnvironment({}, 'vt100')).includes('TERM=vt100'))
})
