import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isExecPath, parseExec, UNKNOWN_SIZE } from '../../agent/exec-request.js'
import { OpsError } from '../../src/core/errors.js'
import { agentPath } from '../../src/runtime/opagent.js'

const refused = (path: string, why: RegExp) =>
  assert.throws(
    () => parseExec(path),
    (error: unknown) => error instanceof OpsError && error.code === 'BAD_REQUEST' && why.test(error.message),
  )

test('a request in kubelet’s spelling is understood', () => {
  assert.deepEqual(parseExec('/exec/shop/web-0/web?command=ls&command=-l&output=1&error=1'), {
    namespace: 'shop',
    pod: 'web-0',
    container: 'web',
    request: { argv: ['ls', '-l'], env: {} },
    lanes: { stdin: false, stdout: true, stderr: true, tty: false },
  })
})
test('the API server’s spelling, a uid and our extensions are understood', () => {
  const path =
    '/exec/shop/web-0/u-1/web?command=sh&stdin=true&stdout=true&tty=true&env=TERM%3Dvt100&env=A%3Db%3Dc&cwd=%2Ftmp&containerId=docker%3A%2F%2Fx&columns=100&rows=30'
  assert.deepEqual(parseExec(path), {
    namespace: 'shop',
    pod: 'web-0',
    uid: 'u-1',
    container: 'web',
    containerId: 'docker://x',
    request: {
      argv: ['sh'],
      env: { TERM: 'vt100', A: 'b=c' },
      cwd: '/tmp',
      pty: { term: 'vt100', size: { columns: 100, rows: 30, widthPx: 0, heightPx: 0 }, modes: {} },
    },
    lanes: { stdin: true, stdout: true, stderr: false, tty: true },
  })
})
test('what the gateway asks for arrives whole', () => {
  const word = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/)
  fc.assert(
    fc.property(fc.array(word, { minLength: 1 }), fc.dictionary(name, word), word, (argv, env, pod) => {
      fc.pre(argv[0] !== '' && pod !== '')
      const target = { cluster: 'a', namespace: 'n', pod, container: 'c', uid: 'u', node: 'x', containerId: 'docker://1', labels: {} }
      const asked = parseExec(agentPath(target, { argv, env, cwd: '/x y' }))
      assert.deepEqual({ ...asked.request, env: { ...asked.request.env } }, { argv, env: { ...env }, cwd: '/x y' })
      assert.deepEqual([asked.pod, asked.uid, asked.containerId], [pod, 'u', 'docker://1'])
    }),
  )
})
test('a terminal without a size has an unknown one', () => {
  assert.deepEqual(parseExec('/exec/a/b/c?command=sh&input=1&tty=1').request.pty, { term: 'xterm', size: UNKNOWN_SIZE, modes: {} })
})
test('what cannot be meant is refused, saying why', () => {
  refused('/exec/a/b?command=x&output=1', /path/)
  refused('/exec/a/b/c/d/e?command=x&output=1', /path/)
  refused('/exec/a//c?command=x&output=1', /path/)
  refused('/exec/a/b/%zz?command=x&output=1', /encoded/)
  refused('/exec/a/b/c?output=1', /no command/)
  refused('/exec/a/b/c?command=&output=1', /no command/)
  refused('/exec/a/b/c?command=x', /at least one/)
  refused('/exec/a/b/c?command=x&output=maybe', /output=maybe/)
  refused('/exec/a/b/c?command=x&output=1&env=secretvalue', /env number 1/)
  refused('/exec/a/b/c?command=x&output=1&env==v', /env number 1/)
  refused('/exec/a/b/c?command=x%00&output=1', /NUL/)
  refused('/exec/a/b/c?command=x&output=1&tty=1&columns=0&rows=1', /columns/)
  refused('/exec/a/b/c?command=x&output=1&tty=1&columns=5', /rows/)
})
test('a refusal of an env does not tell its value', () => {
  assert.throws(
    () => parseExec('/exec/a/b/c?command=x&output=1&env=hunter2'),
    (error: Error) => !error.message.includes('hunter2'),
  )
})
test('any request line is read or refused', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (path, query) => {
      try {
        parseExec(`/exec/${path}?${query}`)
      } catch (error) {
        assert.ok(error instanceof OpsError && error.code === 'BAD_REQUEST', String(error))
      }
      isExecPath(path)
    }),
    { numRuns: 1000 },
  )
})
