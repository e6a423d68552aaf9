import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { GuardParts } from '../../src/guard/parts.js'
import { needs } from '../support/need.js'
import { Person, PROMPT, World } from './support/session.js'

const skip = needs.docker('a')
const world = new World()
after(() => world.close())

for (const shell of ['bash', 'dash', 'ash'] as const) {
  /** A test with a person at a fresh shell, who leaves whatever happens. */
  const sits = (name: string, body: (person: Person) => Promise<void>, more: Partial<GuardParts> = {}) =>
    test(name, async () => {
      const person = await Person.sitDown(world, shell, more)
      try {
        await body(person)
        assert.doesNotMatch(person.seen, /7777/, 'marks are not shown')
      } finally {
        await person.leave()
      }
    })

  describe(`the guarded ${shell}`, { skip, concurrency: 1 }, () => {
    sits('runs a line, and knows its status and the directory', async (person) => {
      assert.equal(await person.runs('echo one; cd /etc; false'), 'one\r\n')
      assert.match(person.seen, /:\/etc/)
      assert.equal(await person.runs('echo "status $?"'), 'status 1\r\n')
      await person.runs('sh -c "exit 42"')
      assert.equal(await person.runs('echo "status $?"'), 'status 42\r\n')
      assert.deepEqual(person.statuses, [1, 0, 42, 0])
      const [command, , second] = person.events
      assert.ok(command?.type === 'command' && command.cwd === '/' && command.verdict === 'allow' && command.rule === 'test-rule')
      assert.ok(second?.type === 'command' && second.cwd === '/etc')
    })

    sits('does not run a line that is denied, says why, and keeps it in the history', async (person) => {
      await person.runs('cd /tmp; echo keep >guarded-victim')
      assert.match(await person.runs('rm guarded-victim'), /dockin: refused: rm is not allowed \(rule test-rule\): ask #platform\r\n/)
      assert.equal(await person.runs('cat guarded-victim'), 'keep\r\n')
      assert.equal(await person.runs('\x1b[A\x1b[A\x01echo '), 'rm guarded-victim\r\n')
      assert.deepEqual(person.verdicts, ['allow', 'deny', 'allow', 'allow'])
      await person.runs('unlink guarded-victim || true')
    })

    sits(
      'goes on with an unfinished line and vets all of it',
      async (person) => {
        person.types("echo 'a\r")
        await person.sees('> ')
        assert.equal(await person.runs("b'"), 'a\r\nb\r\n')
        assert.match(await person.runs('cat <<E\rrm x\rE'), /E[\s\S]*\nrm x\r\n$/)
        person.types("echo 'a\r")
        await person.sees('> ')
        person.types('\x03')
        await person.sees(PROMPT)
        assert.equal(await person.runs('echo ok'), 'ok\r\n')
        assert.deepEqual(person.lines, ["echo 'a\nb'", 'cat <<E\nrm x\nE', 'echo ok'])
      },
      { decide: decideHereDocuments },
    )

    sits('takes lines that come together one by one', async (person) => {
      person.types('echo one\recho two\rrm x\recho three\r')
      for (const text of ['one\r\n', 'two\r\n', 'refused', 'three\r\n']) await person.sees(text)
      await person.sees(PROMPT)
      assert.deepEqual(person.lines, ['echo one', 'echo two', 'rm x', 'echo three'])
    })

    sits('takes a bracketed paste as one line', async (person) => {
      person.types('\x1b[200~echo one\recho two\n\x1b[201~')
      await person.sees('> echo two')
      await person.runs('')
      assert.deepEqual(person.lines, ['echo one\necho two\n'])
      assert.match(person.seen, /one\r\ntwo\r\n/)
    })

    sits('gives what was typed ahead to the next line', async (person) => {
      person.types('sleep 0.4\r')
      await person.sees('\n')
      person.types('echo ah')
      person.types('ead\rrm x\recho par')
      await person.sees('ahead\r\n')
      await person.sees('refused')
      await person.sees(PROMPT)
      await person.sees('echo par')
      assert.equal(await person.runs('tial'), 'partial\r\n')
      assert.deepEqual(person.lines, ['sleep 0.4', 'echo ahead', 'rm x', 'echo partial'])
    })

    sits('gives programs the terminal: read and cat', async (person) => {
      person.types('read x\r')
      await person.sees('\n')
      assert.match(await person.runs('hello there'), /^$/)
      assert.equal(await person.runs('echo "[$x]"'), '[hello there]\r\n')
      person.types('cat\r')
      await person.sees('\n')
      person.types('rm x\r')
      await person.sees('rm x\r\nrm x\r\n')
      person.types('\x04')
      await person.sees(PROMPT)
      assert.match(await person.runs('tty'), /^\/dev\/(pts\/\d+|tty)\r\n$/)
      assert.deepEqual(person.lines, ['read x', 'echo "[$x]"', 'cat', 'tty'])
    })

    sits('interrupts a program and an empty or half-typed line', async (person) => {
      person.types('sleep 100\r')
      await person.sees('\n')
      person.types('\x03')
      await person.sees(PROMPT)
      assert.equal(await person.runs('echo "status $?"'), 'status 130\r\n')
      person.types('half\x03')
      await person.sees('half^C')
      await person.sees(PROMPT)
      assert.equal(await person.runs('echo "status $?"'), 'status 130\r\n')
      assert.deepEqual(person.lines, ['sleep 100', 'echo "status $?"', 'echo "status $?"'])
    })

    sits('stops and resumes a program', async (person) => {
      person.types('sleep 0.7\r')
      await person.sees('\n')
      person.types('\x1a')
      await person.sees(PROMPT)
      assert.match(await person.runs('jobs'), /Stopped/)
      assert.match(await person.runs('fg'), /sleep 0\.7/)
      assert.equal(await person.runs('echo back'), 'back\r\n')
    })

    sits('survives lines that try to take its input, output and errors away', async (person) => {
      for (const line of ['exec 2>/dev/null', 'exec </dev/null', 'exec 0</etc/hostname', 'exec 0<&-', 'exec 2>&-']) await person.runs(line)
      assert.equal(await person.runs('echo here'), 'here\r\n')
      assert.match(await person.runs('nosuchcommand'), /not found/)
      await person.runs('set -eu; false || true')
      assert.equal(await person.runs('echo there'), 'there\r\n')
      await person.runs('IFS=123')
      assert.equal(await person.runs('echo $?'), '0\r\n')
    })

    sits('knows the real directory when PWD lies, and names with control characters', async (person) => {
      await person.runs('cd /etc; PWD=/tmp')
      await person.runs('echo x')
      assert.match(person.seen.slice(person.seen.lastIndexOf('alice@')), /:\/etc/)
      await person.runs('mkdir -p "/tmp/g$(printf \'\\007\\033x\\ny;\')"; cd /tmp/g*y*')
      await person.runs('echo x')
      const last = person.events.findLast((event) => event.type === 'command')
      assert.ok(last?.type === 'command' && last.cwd === '/tmp/g\x07\x1bx\ny;')
      await person.runs('cd /; rmdir /tmp/g*y*')
    })

    sits('is not opened by marks that a program prints', async (person) => {
      person.types('printf "%s" "$PS1$PS1$PS1"; read x; echo "got $x"\r')
      await person.sees('\n')
      // Were the forged prompt believed, this line would be a command.
      await person.runs('rm x')
      assert.match(person.seen, /got rm x/)
      assert.equal(person.lines.length, 1)
      assert.equal(await person.runs('echo ok'), 'ok\r\n')
    })

    sits('shows what background programs print and draws the line again', async (person) => {
      await person.runs('(sleep 0.3; echo background) &')
      person.types('echo hal')
      await person.sees('background\r\n')
      await person.sees('echo hal')
      assert.match(await person.runs('f'), /^half\r\n/)
    })

    sits('begins its prompt on a line of its own', async (person) => {
      assert.equal(await person.runs("printf 'no newline'"), 'no newline\r\n')
    })

    sits('puts the terminal right after a program that left it raw', async (person) => {
      person.types("sh -c 'stty raw -echo; kill -9 $$'\r")
      await person.sees(PROMPT)
      assert.match(await person.runs('stty -a'), / icanon[\s\S]* echo /)
      await person.runs('stty -echo')
      await person.runs("sh -c 'kill -9 $$'")
      assert.match(await person.runs('stty -a'), / -echo /)
    })

    sits(
      'holds a line while the audit log cannot be kept, and gives it back',
      async (person) => {
        assert.match(await person.runs('echo never'), /dockin: refused, because the audit log cannot be kept; the line is held/)
        await person.sees('echo never')
        assert.doesNotMatch(person.seen, /\nnever/)
      },
      { record: () => Promise.reject(new OpsError('AUDIT_UNAVAILABLE', 'no disk')) },
    )

    sits(
      'measures the files that a rule limits',
      async (person) => {
        await world.run(shell, 'echo more than ten bytes >/tmp/guarded-big')
        assert.match(await person.runs('cat /tmp/guarded-big'), /refused: cat \/tmp\/guarded-big: the file has \d+ bytes, the limit is 10/)
        assert.equal(await person.runs('cat /tmp/guarded-none || true').then((shown) => /refused/.test(shown)), false)
        assert.match(await person.runs('cat /dev/zero'), /refused: .* has no end/)
      },
      {
        rule: { name: 'r', commands: { mode: 'deny', entries: [], opaque: true, escapeCapable: true, editLimit: 10, shells: [shell] } },
        decide: (line) => {
          const path = line.split(' ')[1] ?? ''
          return { verdict: 'allow', commands: [['cat', path]], confidence: 'exact', sizeChecks: [{ command: 'cat', path }] }
        },
      },
    )

    sits(
      'lets an approver say yes or no, and the user withdraw',
      async (person) => {
        await person.runs('echo yes')
        assert.match(person.seen, /waits for approval[\s\S]*yes\r\n/)
        assert.match(await person.runs('echo no'), /refused/)
        person.types('echo late\r')
        await person.sees('waits for approval')
        person.types('junk\x03')
        await person.sees('withdrawn')
        await person.sees(PROMPT)
        assert.deepEqual(person.verdicts, ['approved', 'refused', 'refused'])
      },
      {
        decide: () => ({ verdict: 'approve', confidence: 'exact' }),
        approve: (line) =>
          line.includes('late')
            ? new Promise(() => {})
            : Promise.resolve(line.includes('yes') ? { verdict: 'approved', approver: 'lea' } : { verdict: 'refused', approver: 'lea' }),
      },
    )

    sits(
      'runs a line that asks for the pod once its name was typed, and nothing else',
      async (person) => {
        person.types('echo one two\r')
        await person.sees('type web-0 to run it: ')
        person.types('webx\x7f-0\recho ahead\r')
        await person.sees('type web-0 to run it: ')
        assert.match(person.seen, /one two\r\n/)
        person.types('wrong\r')
        assert.match(await person.sees(PROMPT), /that was not web-0/)
        person.types('echo three\r')
        await person.sees('type web-0 to run it: ')
        person.types('\x1b[Aweb\x03')
        await person.sees('withdrawn')
        await person.sees(PROMPT)
        assert.deepEqual(person.verdicts, ['approved', 'refused', 'refused'])
        assert.doesNotMatch(person.seen, /\nahead|\nthree/)
      },
      { decide: () => ({ verdict: 'confirm', reason: 'echo: asks', confidence: 'exact' }), confirmWord: 'web-0' },
    )

    test('ends with the status of exit, and with Ctrl-D', async () => {
      const first = await Person.sitDown(world, shell)
      first.types('exit 7\r')
      assert.deepEqual(await first.status(), { kind: 'exited', code: 7 })
      await first.leave()
      const second = await Person.sitDown(world, shell)
      await second.runs('false')
      second.types('\x04')
      assert.deepEqual(await second.status(), { kind: 'exited', code: 1 })
      await second.leave()
      const third = await Person.sitDown(world, shell)
      third.shell.stdin.end('echo last\recho par')
      assert.deepEqual(await third.status(), { kind: 'exited', code: 0 })
      assert.deepEqual(third.lines, ['echo last'])
      await third.leave()
    })

    test('ends when its shell is killed', async () => {
      const person = await Person.sitDown(world, shell)
      person.types('kill -9 $$\r')
      const status = await person.status()
      assert.ok(status.kind === 'signaled' || status.code === 137)
      await person.leave()
    })

    sits('stays right through a storm of resizes', async (person) => {
      person.types('echo one two three four five six seven eight nine ten')
      for (let columns = 120; columns > 10; columns--) person.shell.resize({ columns, rows: 30, widthPx: 0, heightPx: 0 })
      person.shell.resize({ columns: 100, rows: 40, widthPx: 0, heightPx: 0 })
      person.types('\r')
      await person.sees(/ten\r\n/)
      await person.sees('\x1b[?2004h')
      // The size goes to the target beside the bytes, and may come after them.
      person.types('for i in 1 2 3 4 5 6 7 8 9 10; do stty size; sleep 0.2; done\r')
      await person.sees('40 100\r\n')
    })

    sits('takes much and refuses too much', async (person) => {
      const long = 'x'.repeat(60_000)
      assert.equal((await person.runs(`echo ${long}|wc -c`)).trim(), '60001')
      person.types(`\x1b[200~${'echo y\n'.repeat(10_000)}\x1b[201~\r`)
      await person.sees('longer than 64 KiB')
      await person.sees(PROMPT)
      assert.equal(await person.runs('echo ok'), 'ok\r\n')
      assert.deepEqual(person.verdicts, ['allow', 'deny', 'allow'])
    })
  })
}

function decideHereDocuments(line: string): ReturnType<GuardParts['decide']> {
  const here = /<<(\w+)/.exec(line)?.[1]
  const open = (line.match(/'/g)?.length ?? 0) % 2 === 1 || (here !== undefined && !line.endsWith(`\n${here}`))
  return { verdict: open ? 'incomplete' : 'allow', commands: [], confidence: 'exact' }
}
