// biome-ignore-all lint/suspicious/noTemplateCurlyInString: shell text
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { allow, deny, judged, NO_RM, NO_RM_RF, NO_SECRET } from './support/lines.js'

describe('judge', () => {
  test('lists every simple command, wrappers unwrapped, and prints … for what only the shell knows', () => {
    assert.deepEqual(judged('timeout 5 ls -l | env A=1 grep "a b"; echo $x "y$(id)"', NO_RM).commands, [
      ['ls', '-l'],
      ['grep', 'a b'],
      ['echo', '…', 'y…'],
      ['id'],
    ])
    assert.deepEqual(judged('find . -name x -exec ls {} \\;', NO_RM).commands, [
      ['find', '.', '-name', 'x', '-exec', 'ls', '{}', ';'],
      ['ls', '…'],
    ])
    assert.deepEqual(judged('\\ls {a,b}', NO_RM).commands, [['ls', 'a', 'b']])
  })
  test('names the command, what was found and the entry', () => {
    const { reason, entry, verdict } = judged('rm -fr sub', NO_RM_RF)
    assert.equal(verdict, 'deny')
    assert.equal(reason, 'rm: this rule denies rm -r|R|recursive -f|force')
    assert.equal(entry, 'rm -r|R|recursive -f|force')
    assert.equal(judged('unlink x', allow(['ls'])).reason, 'unlink: not among the commands that this rule allows')
    assert.match(judged('cat < secret', NO_SECRET).reason ?? '', /^redirection: this rule denies cat on /)
    assert.match(judged('$x', NO_RM).reason ?? '', /command name that only the shell knows/)
  })
  test('says incomplete with a reason and denies what cannot be completed', () => {
    assert.equal(judged('if true', NO_RM).verdict, 'incomplete')
    assert.match(judged('if true', NO_RM).reason ?? '', /then/)
    assert.equal(judged('fi', NO_RM).verdict, 'deny')
  })
  test('lets opaque and escape-capable programs pass where the rule says so, and marks the line', () => {
    const open = deny(['rm'], { opaque: true, escapeCapable: true })
    assert.deepEqual([judged('python3 -q', open).verdict, judged('python3 -q', open).opaque], ['allow', true])
    assert.equal(judged('bash --norc', open).verdict, 'allow')
    assert.equal(judged('less f', open).verdict, 'allow')
    assert.equal(judged('less f', deny(['rm'], { escapeCapable: true })).verdict, 'allow')
    assert.equal(judged('python3', deny(['rm'], { escapeCapable: true })).verdict, 'deny')
    assert.equal(judged('rm x; python3', open).verdict, 'deny')
    assert.equal(judged("sh -c 'rm x'", open).verdict, 'deny')
    assert.equal(judged('./x', open).verdict, 'deny')
    assert.equal(judged('python3', allow(['ls'], { opaque: true })).verdict, 'deny')
    assert.equal(judged('python3', allow(['python3'], { opaque: true })).verdict, 'allow')
  })
  test('calls a line nested when commands stand in a text of it', () => {
    assert.equal(judged('ls', NO_RM).confidence, 'exact')
    assert.equal(judged("sh -c 'ls'", NO_RM).confidence, 'nested')
    assert.equal(judged('eval ls', NO_RM).confidence, 'nested')
  })
  test('asks for the size of what an editor or pager would load', () => {
    const rule = deny(['rm'], { escapeCapable: true, editLimit: 1000 })
    assert.deepEqual(judged('vi big.txt +5 /etc/../etc/x', rule).sizeChecks, [
      { command: 'vi', path: '/w/case/big.txt' },
      { command: 'vi', path: '/etc/x' },
    ])
    assert.deepEqual(judged('cd sub && less a', rule).sizeChecks, [
      { command: 'less', path: '/w/case/a' },
      { command: 'less', path: '/w/case/sub/a' },
    ])
    assert.deepEqual(judged('less < a', rule).sizeChecks, [{ command: '<', path: '/w/case/a' }])
    assert.equal(judged('vi *.log', rule).verdict, 'deny')
    assert.equal(judged('vi "$f"', rule).verdict, 'deny')
    assert.deepEqual(judged('cat big.txt', rule).sizeChecks, [])
    assert.deepEqual(judged('vi x', deny(['rm'], { escapeCapable: true })).sizeChecks, [])
  })
  test('takes an entry of a white list with arguments for no more than it says', () => {
    const rule = allow([{ cmd: 'cat', path: ['/var/log/*'] }, { cmd: 'ls', flags: ['l'] }, 'echo'])
    const verdicts = (lines: readonly string[]): string[] => lines.map((line) => judged(line, rule).verdict)
    assert.deepEqual(verdicts(['cat /var/log/a', 'cat -n /var/log/a', 'ls -l', 'ls -al x', 'echo x']), Array(5).fill('allow'))
    const lines = [
      'cat /etc/passwd',
      'cat /var/log/../../etc/passwd',
      'cat $x',
      'cat x',
      'cat -f/etc/x',
      'cat --x=/etc/x',
      'ls',
      'ls $x',
      'cat < /etc/x',
      'echo x < /etc/x',
    ]
    assert.deepEqual(
      verdicts(lines),
      lines.map(() => 'deny'),
    )
  })
  test('takes a line that only bash understands as bash when the shell is bash', () => {
    assert.equal(judged('[[ -f x ]] && echo y', NO_RM, 'bash').verdict, 'allow')
    assert.equal(judged('[[ -f x ]] && echo y', NO_RM, 'posix').verdict, 'deny')
  })
  test('knows the home directory only when it is told', () => {
    assert.equal(judged('cat ~/x', NO_SECRET).verdict, 'allow')
    const { home: _, ...blind } = { home: '', cwd: '/w' }
    assert.equal(judged('cat ~/x', NO_SECRET, 'bash', { ...blind, home: undefined } as never).verdict, 'deny')
  })
})

describe('judge on hostile text', () => {
  const rules = [NO_RM, NO_SECRET, allow(['ls', 'echo'])]
  const settle = (line: string): boolean => rules.every((rule) => ['allow', 'deny', 'incomplete'].includes(judged(line, rule).verdict))
  test('never throws on any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), settle), { numRuns: 500 })
  })
  test('never throws on shell characters in any order', () => {
    const pieces = fc.constantFrom(
      ...'$(){}[]<>|&;\'"`\\#!~*?= \n\tab1@,:-+/'.split(''),
      '$(',
      '${',
      '$((',
      '<<E\n',
      'if ',
      'fi',
      'case x in ',
      'esac',
      'f() ',
      'rm ',
      'eval ',
      'sh -c ',
      'xargs ',
      'find . -exec ',
      "awk '",
      "sed '",
      'let ',
      '[[ ',
      'tar ',
      'git ',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => settle(parts.join(''))),
      { numRuns: 2000 },
    )
  })
  test('answers 64 KiB of anything within a bound, and denies what is too deep', () => {
    const size = 65_536
    const hostile = [
      'a',
      '{',
      '(',
      '$(',
      'a;',
      'a ',
      '{a,b}',
      '$x',
      'a|',
      'cd a;',
      '((x=1));',
      '\\',
      '`',
      '1+',
      'a=1;',
      'a[',
      '$',
      '[',
      '~',
      '*',
      '@(',
      'a) b;;',
      '!',
      '>b ',
      '"',
      "''",
      '<<E ',
      '${x:-',
      '$((',
      'env ',
      'eval ',
      '{ ',
      'if ',
      'a && ',
    ]
    const slow: string[] = []
    for (const piece of hostile) {
      for (const lead of ['', 'echo ', "awk '", "sed '", 'case x in ', 'echo $((']) {
        const line = (lead + piece.repeat(size)).slice(0, size)
        // The best of two: the machine has other things to do. 50 ms is the aim, 250 ms what a busy test machine may take.
        const times = [0, 1].map(() => {
          const start = performance.now()
          judged(line, NO_RM)
          return performance.now() - start
        })
        if (Math.min(...times) > 250) slow.push(`${lead}${piece}: ${Math.min(...times).toFixed(0)} ms`)
      }
    }
    assert.deepEqual(slow, [])
    for (const [open, close] of [
      ['$(', ')'],
      ['(', ')'],
      ['{ ', '; }'],
    ] as const) {
      assert.equal(judged(`${open.repeat(500)}ls${close.repeat(500)}`, NO_RM).verdict, 'deny')
    }
  })
  test('takes less than a millisecond for a usual line', () => {
    const lines = [
      'ls -la | grep x',
      'for i in 1 2 3; do echo $i; done',
      "awk '{print $1}' f | sort | uniq -c",
      'cd /var/log && tail -n 100 app.log',
      "find . -name '*.log' -exec ls -l {} \\;",
    ]
    for (let i = 0; i < 200; i++) for (const line of lines) judged(line, NO_RM)
    const times = Array.from({ length: 400 }, (_, i) => {
      const start = performance.now()
      judged(lines[i % lines.length] ?? '', NO_RM)
      return performance.now() - start
    }).sort((a, b) => a - b)
    assert.ok((times[200] ?? 1) < 0.5, `median ${times[200]} ms`)
  })
})
