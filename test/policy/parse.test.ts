// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell text
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MAX_LINE_LENGTH, parseLine, parseScript } from '../../src/policy/parse.js'

const kinds = (lines: readonly string[]): string[] => lines.map((line) => `${parseLine(line).kind} ${JSON.stringify(line)}`)
const all = (kind: string, lines: readonly string[]): void =>
  assert.deepEqual(
    kinds(lines),
    lines.map((line) => `${kind} ${JSON.stringify(line)}`),
  )

describe('parser', () => {
  test('asks for more of a line that more could complete', () => {
    all('incomplete', [
      "echo 'a",
      'echo "a',
      'echo "a\nb',
      "echo $'a",
      'echo `a',
      'echo $(a',
      'echo "$(a',
      'echo ${a',
      'echo $((1',
      'cat <<E',
      'cat <<E\nx',
      'cat <<E\nx\n',
      "cat <<'E'\nE ",
      'cat <<-E\n\tx',
      'cat <<A <<B\nA\nx',
      'if true',
      'if true; then',
      'if true; then x',
      'if true\nthen x\nelse',
      'if a; then b; elif',
      'ls |',
      'ls | ',
      'ls |\n',
      'ls &&',
      'ls && # c',
      'ls ||\n\n',
      'ls \\',
      'ls a\\',
      'echo "a\\',
      'for i in a b',
      'for i in a b\n',
      'for i in a; do',
      'for i in a; do\nls',
      'while true; do',
      'while true',
      'until true; do x',
      'case x in',
      'case x in a)',
      'case x in a) b;;',
      '{ ls',
      '{ ls;',
      '{',
      '(ls',
      '(',
      'f() {',
      'f() { ls',
      'f()',
      '[[ a',
      '((1',
      'a=(1',
      'cat <(ls',
    ])
  })
  test('says of a broken line that it is broken', () => {
    all('error', [
      'fi',
      'done',
      ')',
      '}',
      'ls ;;',
      '| ls',
      '&& ls',
      'ls && && ls',
      'ls ; ; ls',
      'if ; then x; fi',
      'if a; then fi',
      '{ }',
      '()',
      'f() ls',
      '(a) b',
      'ls >',
      'cat <<',
      'echo )',
    ])
  })
  test('takes whole lines', () => {
    all('whole', [
      '',
      ' ',
      '# c',
      '# c\\',
      'ls # \\',
      'ls',
      "echo 'a\nb'",
      'cat <<E\nx\nE',
      'cat <<E\nE\n',
      'if a; then b; fi',
      'ls \\\n-l',
      'echo \\\\',
      "echo '\\'",
      'a | b',
      'f() { a; }',
    ])
  })
  test('refuses control characters, lone surrogates and what is too long', () => {
    all('error', ['\u0000', 'a\rb', 'a\u001bb', 'a\u007f', 'a\u009bb', '\ud800', 'a\udc00', '\ufeffls', `echo ${'a'.repeat(MAX_LINE_LENGTH)}`])
    all('whole', ['a\tb', 'a\nb', 'echo 😀', 'echo é', 'echo 你好'])
  })
  test('completes nothing in a text that another command would run', () => {
    assert.equal(parseScript('if true').kind, 'error')
    assert.equal(parseScript("echo 'a").kind, 'error')
    assert.equal(parseScript('ls').kind, 'whole')
  })
  test('never throws on any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (line) => ['whole', 'incomplete', 'error'].includes(parseLine(line).kind)))
  })
  test('finds a line incomplete whenever its first lines are a cut through quotes', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-z ]{1,20}$/),
        (text) => parseLine(`echo '${text}`).kind === 'incomplete' && parseLine(`echo '${text}'`).kind === 'whole',
      ),
    )
  })
})
