import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlob, compileGlobs } from '../../src/policy/globs.js'

const TABLE: readonly [pattern: string, yes: readonly string[], no: readonly string[]][] = [
  ['*', ['', 'a', 'a/b', '\n'], []],
  ['', [''], ['a']],
  ['web-0', ['web-0'], ['web-01', 'xweb-0', 'web', '']],
  ['web-*', ['web-', 'web-0', 'web-0/x'], ['web', 'xweb-']],
  ['/etc/*', ['/etc/', '/etc/passwd', '/etc/ssh/key'], ['/etc', '/etcetera', 'x/etc/a']],
  ['*/secret', ['/secret', '/a/b/secret', 'a/secret'], ['secret', '/a/secret/b', '/a/secrets']],
  ['a?c', ['abc', 'a/c', 'a😀c'], ['ac', 'abbc']],
  ['[a-c]x', ['ax', 'cx'], ['dx', 'x', '-x']],
  ['[!a-c]x', ['dx', '-x'], ['ax', 'x']],
  ['[]a]', [']', 'a'], ['b', '[']],
  ['[a', ['[a'], ['a']],
  ['\\*', ['*'], ['a', '\\*']],
  ['a\\', ['a\\'], ['a']],
  ['a**b*c', ['abc', 'axxbyyc', 'abbcc'], ['acb', 'abcd']],
]

test('glob matches what its table says', () => {
  for (const [pattern, yes, no] of TABLE) {
    const glob = compileGlob(pattern)
    for (const text of yes) assert.ok(glob(text), `${pattern} matches ${JSON.stringify(text)}`)
    for (const text of no) assert.ok(!glob(text), `${pattern} does not match ${JSON.stringify(text)}`)
  }
})

test('several globs match when one does, and none match nothing', () => {
  assert.ok(compileGlobs(['a', 'b*'])('bc'))
  assert.ok(!compileGlobs(['a', 'b*'])('c'))
  assert.ok(!compileGlobs([])('')) // an empty list must not read as "everything"
})

/** The same language as a regular expression: slow and short, so easy to believe. */
function model(pattern: string): RegExp {
  const source = Array.from(pattern, (c) => (c === '*' ? '.*' : c === '?' ? '.' : c.replace(/[.+^${}()|[\]\\]/g, '\\$&'))).join('')
  return new RegExp(`^${source}$`, 'su')
}

test('glob agrees with a regular expression on random patterns', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 12 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '?'), maxLength: 8 })
  fc.assert(
    fc.property(pattern, letters, (p, text) => {
      assert.equal(compileGlob(p)(text), model(p).test(text))
    }),
    { numRuns: 3000 },
  )
})

test('glob takes any pattern and any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (p, text) => {
      assert.equal(typeof compileGlob(p)(text), 'boolean')
    }),
  )
})

test('glob with many stars stays fast on a text made to be slow', () => {
  const glob = compileGlob(`${'*a'.repeat(50)}b`)
  const start = performance.now()
  assert.ok(!glob('a'.repeat(20_000)))
  // A backtracking matcher would take longer than the age of the universe; the limit is wide for a busy machine.
  assert.ok(performance.now() - start < 5000)
})
