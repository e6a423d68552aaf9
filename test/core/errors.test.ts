import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ERRORS, OpsError, toOpsError } from '../../src/core/errors.js'

test('the README lists every error as the code has it', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const listed = [...readme.matchAll(/^\| ([A-Z_]+) \| (\d+) \| (\d+) \| (.+) \|$/gm)].map((m) => [m[1], Number(m[2]), Number(m[3]), m[4]])
  assert.deepEqual(
    listed,
    Object.entries(ERRORS).map(([code, { exit, http, text }]) => [code, exit, http, text]),
  )
})
test('an error shows its table text and detail to the user, and its message to nobody but the log', () => {
  const error = new OpsError('TARGET_UNKNOWN', 'lookup of "x" failed: secret internals', { detail: 'did you mean web-0' })
  assert.equal(error.userText, `${ERRORS.TARGET_UNKNOWN.text}: did you mean web-0`)
  assert.deepEqual([error.exit, error.httpStatus], [255, 404])
})
test('what is thrown and is not ours becomes INTERNAL and keeps its cause', () => {
  const cause = new TypeError('boom')
  const error = toOpsError(cause)
  assert.deepEqual([error.code, error.cause, error.userText], ['INTERNAL', cause, 'internal error'])
  assert.equal(toOpsError(error), error)
})
