import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { installedSsh2, loadSsh2 } from '../../../src/ssh/hardening/load.js'

test('a changed ssh2 is one of its own: what others load stays as it was', () => {
  const original: object = createRequire(import.meta.url)('ssh2')
  const changed = loadSsh2()
  assert.notEqual(changed.Server, Reflect.get(original, 'Server'))
  assert.notEqual(loadSsh2().Server, changed.Server)
})

test('another version of ssh2 is refused by name', () => {
  assert.throws(() => loadSsh2({ ...installedSsh2(), version: '1.18.0' }), /ssh2 in \S+ssh2 has version 1\.17\.0: this gateway was tested with 1\.18\.0/)
})

test('a file of ssh2 that was changed by a single byte is refused by name', () => {
  const source = installedSsh2()
  const read = (file: string) => (file.endsWith('kex.js') ? `${source.read(file)} ` : source.read(file))
  assert.throws(() => loadSsh2({ ...source, read }), /lib\/protocol\/kex\.js is not the file of ssh2 1\.17\.0 that was tested/)
})

test('a file of ssh2 that nobody has read is refused by name', () => {
  const source = installedSsh2()
  const { 'Channel.js': _, ...files } = source.files
  assert.throws(() => loadSsh2({ ...source, files }), /Channel\.js is not the file .* expected none/)
})

test('an edit that finds its lines not once is refused by file', () => {
  const source = installedSsh2()
  const edit = (find: string) => ({ ...source, edits: { ...source.edits, 'utils.js': [{ why: 'test', find, replace: '' }] } })
  assert.throws(() => loadSsh2(edit('no such line')), /utils\.js of ssh2 1\.17\.0: the lines to change are not there \(test\)/)
  assert.throws(() => loadSsh2(edit('channel')), /more than once/)
})
