/** People who try: signals while a line is read, marks that are copied, settings that change what is printed. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { LineDecision } from '../../src/guard/parts.js'
import type { Where } from '../../src/guard/vetting.js'
import { judge } from '../../src/policy/judge.js'
import { NO_RM } from '../policy/support/lines.js'
import { needs } from '../support/need.js'
import { Person, PROMPT, World } from './support/session.js'

const skip = needs.docker('a')
const world = new World()
after(() => world.close())

for (const shell of ['bash', 'dash', 'ash'] as const) {
  describe(`against the guarded ${shell}`, { skip, concurrency: 1 }, () => {
    const sits = (name: string, body: (person: Person) => Promise<void>) =>
      test(name, async () => {
        const person = await Person.sitDown(world, shell)
        try {
          await body(person)
        } finally {
          await person.leave()
        }
      })

    test('nobody writes into the source of the shell through /proc', async () => {
      const decide = (line: string, where: Where): LineDecision => {
        const { verdict, reason, commands } = judge(line, NO_RM, where)
        return { verdict, commands, confidence: 'exact', ...(reason !== undefined && { reason }) }
      }
      const person = await Person.sitDown(world, shell, { decide })
      try {
        await person.runs('echo keep >/tmp/guarded-source')
        for (const number of [0, 10, 11]) {
          await person.runs(`echo 'unlink /tmp/guarded-source' | tee /proc/$$/fd/${number}`)
          await person.runs(`ln -sf /proc/$$/fd/${number} /tmp/guarded-link; echo 'unlink /tmp/guarded-source' | tee /tmp/guarded-link`)
          await person.runs(`cd /proc/$$/fd && echo 'unlink /tmp/guarded-source' | tee ${number}`)
        }
        assert.equal(await person.runs('cat /tmp/guarded-source'), 'keep\r\n')
        assert.equal(person.verdicts.filter((verdict) => verdict === 'deny').length, 9)
      } finally {
        await person.leave()
      }
    })

    sits('a storm of interrupts never makes the tail of a word a command', async (person) => {
      await person.runs(`(i=0; while [ $i -lt 4000 ]; do kill -INT $$; i=$((i+1)); done) >/dev/null 2>&1 &`)
      // Cut anywhere, the rest of this line would say it.
      const tail = '; echo PWN""ED; '.repeat(800)
      for (let i = 0; i < 12; i++) await person.runs(`: "${tail}"`)
      assert.doesNotMatch(person.seen, /PWNED/)
      await person.runs('kill %1; wait')
      person.types('echo still "here"\r')
      await person.sees('still here')
    })

    sits('interrupts typed all the time stop programs and nothing else', async (person) => {
      for (let i = 0; i < 15; i++) {
        person.types('sleep 5\r')
        await person.sees('\n')
        person.types('\x03')
        person.types('\x03\x03')
        await person.sees(PROMPT)
        person.types('\x03')
        await person.sees(PROMPT)
      }
      assert.equal(await person.runs('echo ok'), 'ok\r\n')
    })

    sits('output that is turned to capitals hides no directory', async (person) => {
      await person.runs('cd /etc; stty olcuc')
      await person.runs('stty sane || true')
      const command = person.events.findLast((event) => event.type === 'command')
      assert.ok(command?.type === 'command' && command.cwd === '/etc')
    })

    sits('a background program that prints all the time spoils no mark', async (person) => {
      await person.runs('(i=0; while [ $i -lt 3000 ]; do echo noise; i=$((i+1)); done) &')
      for (let i = 0; i < 5; i++) {
        person.types('read x\r')
        await person.sees('\n')
        person.types(`value${i}\r`)
        await person.until(() => person.statuses.length === i + 2)
      }
      person.types('echo "[$x]"\r')
      await person.sees('[value4]')
      for (const event of person.events) if (event.type === 'command') assert.equal(event.cwd, '/')
    })

    sits('a prompt that is printed again and again opens nothing and ends', async (person) => {
      person.types('i=0; while [ $i -lt 200 ]; do printf "%s" "$PS1"; i=$((i+1)); done; read y; echo "got $y"\r')
      await person.sees('\n')
      await person.runs('rm x')
      assert.match(person.seen, /got rm x/)
      assert.deepEqual(person.verdicts, ['allow'])
      assert.equal(await person.runs('echo ok'), 'ok\r\n')
    })

    sits('much that is typed ahead comes back whole', async (person) => {
      person.types('sleep 0.5\r')
      await person.sees('\n')
      for (let i = 0; i < 60; i++) person.types(`echo line-${i} ${'x'.repeat(20)}\r`)
      await person.until(() => person.statuses.length === 61)
      assert.deepEqual(
        person.lines.slice(1),
        Array.from({ length: 60 }, (_, i) => `echo line-${i} ${'x'.repeat(20)}`),
      )
    })
  })
}
