import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { createCli } from '../../src/cli/cli.js'
import { dockctlProgram } from '../../src/cli/dockctl-program.js'
import { helpPages } from '../../src/cli/help-pages.js'
import { opsctlProgram } from '../../src/cli/opsctl-program.js'
import { repository } from '../support/world.js'

const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), env: {} }

for (const [name, make] of [
  ['opsctl', opsctlProgram],
  ['dockctl', dockctlProgram],
] as const) {
  test(`docs/${name}.md holds the help of every command (UPDATE_DOCS=1 writes it)`, () => {
    const file = join(repository, 'docs', `${name}.md`)
    const page = readFileSync(file, 'utf8')
    const wanted = page.replace(/(<!-- help -->\n)[\s\S]*(<!-- \/help -->)/, (_, begin, end) => begin + helpPages(make(createCli(name, streams))) + end)
    if (process.env.UPDATE_DOCS === '1') writeFileSync(file, wanted)
    else assert.equal(page, wanted)
  })
}
