/** Lines in text files, so that they read as they are typed: lines/denied.txt and lines/allowed.txt. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { CommandRule, Dialect } from '../../src/core/types.js'
import { allow, deny, judged, NO_RM, NO_RM_RF } from './support/lines.js'

const RULES: Readonly<Record<string, CommandRule>> = {
  NO_RM,
  NO_RM_RF,
  SECRET: deny([
    { cmd: 'cat', path: ['/w/*/secret'] },
    { cmd: 'cat', path: ['*/secret'] },
  ]),
  WL: allow(['ls', 'cat', 'echo', 'cd', 'pwd', 'grep', 'head']),
}

interface Typed {
  readonly line: string
  readonly rule: CommandRule
  readonly dialect: Dialect
}
/** A line that is not finished goes on in the next, as it would at the prompt. */
function read(name: string): Typed[] {
  const typed: Typed[] = []
  let [rule, dialect]: [CommandRule, Dialect] = [NO_RM, 'bash']
  let open = ''
  const [, ...lines] = readFileSync(fileURLToPath(new URL(`lines/${name}`, import.meta.url)), 'utf8').split('\n')
  for (const raw of lines) {
    const header = /^#rule (\w+) (bash|posix)$/.exec(raw)
    if (header) {
      const named = RULES[header[1] ?? '']
      assert.ok(named, raw)
      ;[rule, dialect] = [named, header[2] === 'posix' ? 'posix' : 'bash']
      continue
    }
    const line = open === '' ? raw : `${open}\n${raw}`
    if (line.trim() === '') continue
    if (judged(line, rule, dialect).verdict === 'incomplete') open = line
    else {
      open = ''
      typed.push({ line, rule, dialect })
    }
  }
  assert.equal(open, '', 'the last line is not finished')
  return typed
}

describe('lines as they are typed', () => {
  for (const [name, verdict, least] of [
    ['denied.txt', 'deny', 1500],
    ['allowed.txt', 'allow', 500],
  ] as const) {
    test(`every line of ${name} gets the verdict ${verdict}`, () => {
      const typed = read(name)
      assert.ok(typed.length >= least, `only ${typed.length} lines were read`)
      const surprises = typed.flatMap(({ line, rule, dialect }) => {
        const judgement = judged(line, rule, dialect)
        return judgement.verdict === verdict ? [] : [`${dialect} ${JSON.stringify(line)}: ${judgement.verdict} ${judgement.reason ?? ''}`]
      })
      assert.deepEqual(surprises, [])
    })
  }
})
