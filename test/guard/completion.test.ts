import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Completer, quoted, wordBefore } from '../../src/guard/completion.js'

const FILES = ['notes.txt', 'notes-old.txt', 'with space', 'dir/', '.hidden', 'évil\x1b[2J', 'über']
/** Answers for the directory /w, and counts what it was asked. */
function completer(): { tab: (text: string, allowed?: readonly string[]) => Promise<string>; asked: string[][] } {
  const asked: string[][] = []
  let now = 0
  const one = new Completer(
    async (argv) => {
      asked.push([...argv])
      if (argv.length === 3) return 'ls\nless\nlsof\n'
      const [directory, start] = [argv[4] ?? '', argv[5] ?? '']
      return directory === '/w/' || directory === '/w/dir/../' ? FILES.filter((name) => name.startsWith(start)).join('\n') : ''
    },
    { now: () => (now += 10), after: () => () => {} },
  )
  const tab = async (text: string, allowed?: readonly string[]) => {
    const { insert, names } = await one.complete({ text, cursor: text.length, cwd: '/w', allowed }, new AbortController().signal)
    return insert === '' ? names.join(' ') : text + insert
  }
  return { tab, asked }
}

test('Tab completes commands, files and directories', async () => {
  const { tab } = completer()
  assert.equal(await tab('cat notes.'), 'cat notes.txt ')
  assert.equal(await tab('cat no'), 'cat notes')
  assert.equal(await tab('cat notes'), 'notes-old.txt notes.txt')
  assert.equal(await tab('cat di'), 'cat dir/')
  assert.equal(await tab('cat dir/../no'), 'cat dir/../notes')
  assert.equal(await tab('cat wi'), 'cat with\\ space ')
  assert.equal(await tab('cat "wi'), 'cat "with space" ')
  assert.equal(await tab("cat 'wi"), "cat 'with space' ")
  assert.equal(await tab('cat with\\ s'), 'cat with\\ space ')
  assert.equal(await tab('cat .h'), 'cat .hidden ')
  assert.equal(await tab('lso'), 'lsof ')
  assert.equal(await tab('X=1 lso'), 'X=1 lsof ')
  assert.equal(await tab('true; lso'), 'true; lsof ')
  assert.equal(await tab('cat nosuch'), '')
  assert.equal(await tab(''), '')
})

test('names that would change the terminal are never offered', async () => {
  const { tab } = completer()
  assert.equal(await tab('cat é'), '')
  assert.equal(await tab('cat ü'), 'cat über ')
})

test('a white list offers its own commands and asks nobody', async () => {
  const { tab, asked } = completer()
  assert.equal(await tab('gre', ['grep', 'ls']), 'grep ')
  assert.equal(asked.length, 0)
})

test('answers are kept: typing on asks no more', async () => {
  const { tab, asked } = completer()
  await tab('cat n')
  await tab('cat not')
  await tab('cat di')
  await tab('ls')
  await tab('le')
  assert.equal(asked.length, 2)
})

test('a word with something to expand is left alone', () => {
  assert.equal(wordBefore('cat $HO'), undefined)
  assert.equal(wordBefore('cat `x'), undefined)
  assert.deepEqual(wordBefore("cat 'a$b"), { text: 'a$b', isCommand: false, quote: "'" })
  assert.equal(quoted("a b$c;d'e", ''), "a\\ b\\$c\\;d\\'e")
})
