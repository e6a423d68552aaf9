import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { needs } from '../support/need.js'
import { Person, PROMPT, World } from './support/session.js'

const skip = needs.docker('a')
const world = new World()
after(() => world.close())

describe('programs that take the whole terminal', { skip, concurrency: 1 }, () => {
  for (const shell of ['bash', 'ash'] as const) {
    test(`vi, less and top open, take keys and close in ${shell}`, async () => {
      const person = await Person.sitDown(world, shell)
      try {
        await person.runs('cd /tmp; i=0; while [ $i -lt 99 ]; do echo "line $i"; i=$((i+1)); done >guarded-lines')
        person.types('vi guarded-lines\r')
        await person.sees('line 7')
        person.types(':q!\r')
        await person.sees(PROMPT)
        person.types('less guarded-lines\r')
        await person.sees('line 5')
        person.types('q')
        await person.sees(PROMPT)
        person.types('top\r')
        await person.sees(/PID/)
        person.types('q')
        await person.sees(PROMPT)
        assert.equal(await person.runs('echo back'), 'back\r\n')
        assert.deepEqual(person.lines.slice(1), ['vi guarded-lines', 'less guarded-lines', 'top', 'echo back'])
      } finally {
        await person.leave()
      }
    })
  }

  test('much output arrives whole and in order', async () => {
    const person = await Person.sitDown(world, 'bash')
    try {
      const shown = await person.runs('seq 1 200000')
      assert.equal(shown.split('\r\n').length, 200_001)
    } finally {
      await person.leave()
    }
  })

  test('Enter right behind Tab runs the completed line', async () => {
    const person = await Person.sitDown(world, 'bash')
    try {
      person.types('ls /etc/hostn\t\r')
      await person.sees('/etc/hostname\r\n')
      await person.sees(PROMPT)
      assert.deepEqual(person.lines, ['ls /etc/hostname '])
    } finally {
      await person.leave()
    }
  })

  test('Tab asks the target', async () => {
    const person = await Person.sitDown(world, 'bash')
    try {
      person.types('ls /etc/hostn\t')
      await person.sees('ame ')
      assert.equal(await person.runs(''), '/etc/hostname\r\n')
      assert.equal(await person.runs('!!'), 'ls /etc/hostname \r\n/etc/hostname\r\n')
    } finally {
      await person.leave()
    }
  })

  test('a shell of another user works, and its pipe cannot be written to by that user', async () => {
    const exec = world.exec('bash')
    const asNobody = await Person.sitDown(world, 'bash', {
      exec: (request, signal) => exec({ ...request, argv: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...request.argv] }, signal),
    })
    try {
      assert.equal(await asNobody.runs('id -u'), '65534\r\n')
      await asNobody.runs('echo "echo INJECTED" | tee /proc/$$/fd/10 /proc/$$/fd/0')
      assert.equal(await asNobody.runs('echo ok'), 'ok\r\n')
      assert.doesNotMatch(asNobody.seen, /\nINJECTED/)
    } finally {
      await asNobody.leave()
    }
  })
})
