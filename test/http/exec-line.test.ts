import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpsError } from '../../src/core/errors.js'
import { isShellRequest, lineOf } from '../../src/http/exec-line.js'
import { isExecUrl, parseExecUrl } from '../../src/http/exec-query.js'

test('a line means its words, for every shell that images have', () => {
  const word = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[ -~]{0,8}$/),
    fc.constantFrom('!', '{', 'if', '~root', 'a=b', '-n', '$(id)', '#x', "'", '\n'),
  )
  const words = fc.array(
    word.filter((text) => !text.includes('\0') && Buffer.from(text).toString() === text),
    { minLength: 1, maxLength: 8 },
  )
  const many: string[][] = fc.sample(words, 150)
  for (const shell of ['bash', 'dash']) {
    for (const argv of many) {
      const out = execFileSync(shell, ['-c', lineOf(['printf', '%s\\0', ...argv])], { encoding: 'utf8' })
      assert.deepEqual(out.split('\0').slice(0, -1), argv)
    }
  }
})
test('the name of a program is never read as grammar or assignment', () => {
  for (const name of ['if', '{', '!', 'time', 'a=b', '[[', '#', '~', 'function']) {
    const line = lineOf([name, 'x'])
    assert.equal(line, `'${name}' x`)
  }
})
test('only a bare interactive shell counts as a shell', () => {
  for (const argv of [[], ['sh'], ['/bin/bash'], ['/usr/bin/bash', '-l'], ['bash', '--login'], ['ash', '-i']]) assert.ok(isShellRequest(argv), argv.join(' '))
  for (const argv of [['bash', '-c', 'x'], ['sh', 'file'], ['/tmp/bash'], ['../bin/sh'], ['ls'], ['sh', '-x']]) assert.ok(!isShellRequest(argv), argv.join(' '))
})
test('a URL of an exec is an exec or a refusal, whatever it holds', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('/api/v1/exec', '/api/v1/namespaces/shop/pods/web-0/exec', '/k8s/a/api/v1/namespaces/%zz/pods/x/exec'),
      fc.string(),
      fc.webQueryParameters(),
      (path, junk, query) => {
        try {
          const asked = parseExecUrl(`${path}?${query}&${junk}`)
          assert.ok(asked.command === undefined || !asked.command.includes('\0'))
          assert.ok(asked.command !== undefined || asked.pty)
        } catch (error) {
          assert.ok(error instanceof OpsError, String(error))
          assert.equal(error.httpStatus, 400)
        }
      },
    ),
    { numRuns: 500 },
  )
})
test("kubectl's URL names pod, namespace and container; a prefix or the query names the cluster", () => {
  const query = 'command=ls&command=a+b&container=web&stdin=true&stdout=true&stderr=true'
  assert.deepEqual(parseExecUrl(`/api/v1/namespaces/shop/pods/web-0/exec?${query}`), {
    address: 'web-0.shop+web',
    command: "ls 'a b'",
    isSized: false,
    stdin: true,
    stdout: true,
    stderr: true,
  })
  assert.equal(parseExecUrl(`/k8s/a/api/v1/namespaces/shop/pods/web-0/exec?${query}`).address, 'web-0.shop.a+web')
  assert.equal(parseExecUrl(`/api/v1/namespaces/shop/pods/web-0/exec?cluster=b&${query}`).address, 'web-0.shop.b+web')
  const shell = parseExecUrl('/api/v1/exec?target=web-0&tty=1&columns=100&rows=40')
  assert.deepEqual([shell.command, shell.pty?.size.columns, shell.isSized, shell.stderr], [undefined, 100, true, false])
  for (const wrong of ['tty=maybe', 'tty=true&columns=0', 'command=&tty=true', 'line=x&command=y', 'target=a&target=b&line=x', '', 'tty=true&term=a%20b']) {
    assert.throws(() => parseExecUrl(`/api/v1/exec?${wrong.includes('target') ? '' : 'target=a&'}${wrong}`), OpsError, wrong)
  }
  assert.ok(!isExecUrl('/api/v1/execs') && !isExecUrl('/api/v1/namespaces/a/pods/b/log') && isExecUrl('/api/v1/exec?x'))
})
