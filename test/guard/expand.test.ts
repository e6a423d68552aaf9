import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { expandHistory } from '../../src/guard/expand.js'
import { EMPTY_HISTORY, remember } from '../../src/guard/history.js'

const HISTORY = ['ls victim', 'echo rm victim', 'cat /etc/hosts.allow "a b" | head -2'].reduce(remember, EMPTY_HISTORY)
const expand = (text: string, history = HISTORY) => {
  const result = expandHistory(text, history)
  return 'text' in result ? result.text : `problem: ${result.problem}`
}

test('events, words and modifiers expand as bash expands them', () => {
  const last = 'cat /etc/hosts.allow "a b" | head -2'
  const table: [string, string][] = [
    ['echo plain', 'echo plain'],
    ['!!', last],
    ['sudo !!', `sudo ${last}`],
    ['!1', 'ls victim'],
    ['!-2', 'echo rm victim'],
    ['!ls', 'ls victim'],
    ['!?rm vic?', 'echo rm victim'],
    ['!ls:s/ls/rm/', 'rm victim'],
    ['!1:s/ls/rm', 'rm victim'],
    ['!-2:1 !-2:2', 'rm victim'],
    ['!echo:1-2', 'rm victim'],
    ['!echo:1*', 'rm victim'],
    ['!echo*', 'rm victim'],
    ['!echo:$', 'victim'],
    ['echo !$', 'echo -2'],
    ['echo !^ !:2', 'echo /etc/hosts.allow "a b"'],
    ['echo !^:h !^:t !^:r', 'echo /etc hosts.allow /etc/hosts'],
    ['!-2:gs/m/M/', 'echo rM victiM'],
    ['^head^tail^ -f', 'cat /etc/hosts.allow "a b" | tail -2 -f'],
    ['echo \'!!\' \\!! "!" ! x != !(a)', 'echo \'!!\' \\!! "!" ! x != !(a)'],
    ['echo "!1"', 'echo "ls victim"'],
    ['!nosuch', 'problem: bash: !nosuch: event not found'],
    ['!99', 'problem: bash: !99: event not found'],
    ['!1:7', 'problem: bash: !1:7: bad word specifier'],
    ['^nosuch^x', 'problem: bash: substitution failed'],
  ]
  for (const [text, expected] of table) assert.equal(expand(text), expected, text)
})

test('the last line mended with ^ls^rm is the mended line', () => {
  assert.equal(expand('^ls^rm', remember(EMPTY_HISTORY, 'ls victim')), 'rm victim')
  assert.equal(expand('!!:s/ls/rm/', remember(EMPTY_HISTORY, 'ls victim')), 'rm victim')
})

test('any text expands to a text or a problem, and quickly', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('!', '^', ':', 's', '/', 'g', '-', '1', '$', '*', '?', 'a', ' ', '"', "'", '\\', '\n') }), (text) => {
      assert.equal(typeof expand(text), 'string')
    }),
    { numRuns: 3000 },
  )
  const started = performance.now()
  expand(`^${'a'.repeat(60_000)}`)
  expand(`!!${':s/a'.repeat(15_000)}`)
  assert.ok(performance.now() - started < 1500)
})
