/** Programs that paint the whole screen, in tmux: through the gateway they look as they do with `kubectl exec -it`, before and after a resize. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { kubeconfigOf, needs } from '../support/need.js'
import { Tmux } from '../support/tmux.js'
import { until, World } from '../support/world.js'

const skip = needs.cluster('a') || needs.program('ssh') || needs.program('tmux')
/** Pod by login and by kubectl's words: a Debian, and busybox. */
const PODS = {
  Debian: { login: 'alice+web-0.shop.a', words: ['-n', 'shop', 'web-0', '-c', 'web'] },
  busybox: { login: 'alice+tiny-0.default.a', words: ['-n', 'default', 'tiny-0'] },
}

for (const via of ['agent', 'apiserver'] as const) {
  describe(`a terminal through the ${via}`, { skip, timeout: 600_000 }, () => {
    let world: World
    before(async () => {
      world = await new World().start({ clusters: ['a'], via })
    })
    after(() => world?.stop())

    for (const [image, { login, words }] of Object.entries(PODS)) {
      const folder = `/tmp/terminal-${process.pid}-${via}`
      const ours = (line: string) => ['ssh', ...world.options(), '-t', '-p', String(world.sshPort), '-l', login, '127.0.0.1', line]
      const theirs = (line: string) => [
        'kubectl',
        '--kubeconfig',
        kubeconfigOf('a'),
        'exec',
        '-it',
        ...words,
        '--',
        'env',
        'TERM=xterm-256color',
        'sh',
        '-c',
        line,
      ]
      before(async () => {
        assert.equal((await world.ssh(login, `for d in ours theirs edit; do mkdir -p ${folder}/$d; seq 1 200 > ${folder}/$d/lines; done`)).code, 0)
      })
      after(() => world?.ssh(login, `rm -rf ${folder}`))

      for (const program of ['vi', 'less']) {
        test(`${program} in ${image} shows what kubectl exec shows, before and after a resize`, async (t) => {
          const tmux = new Tmux()
          t.after(() => tmux.close())
          const screens = [
            tmux.open('ours', 80, 24, ours(`cd ${folder}/ours && ${program} lines`)),
            tmux.open('theirs', 80, 24, theirs(`cd ${folder}/theirs && ${program} lines`)),
          ] as const
          const same = async (what: string, rows: number, pattern: RegExp): Promise<void> => {
            for (const screen of screens) await screen.shows(pattern)
            const [mine, reference] = screens
            await until(`${what}: the same screen`, () => mine.text() === reference.text(), 60_000).catch(() =>
              assert.equal(mine.text(), reference.text(), what),
            )
            // the last row may be a status line that is empty
            assert.ok([rows - 1, rows].includes(mine.text().trimEnd().split('\n').length), mine.text())
          }
          await same('at first', 24, /^1\n2\n/)
          for (const screen of screens) screen.resize(100, 30)
          await same('resized', 30, /\n29\n/)
          for (const screen of screens) screen.press('G')
          await same('at the end', 30, /\n200\n/)
          for (const screen of screens) screen.resize(60, 15)
          await same('small', 15, /\n1\d\d\n/)
        })
      }
      test(`vi in ${image} edits and saves, and leaves the screen as it was`, async (t) => {
        const tmux = new Tmux()
        t.after(() => tmux.close())
        const screen = tmux.open('edit', 80, 24, ours(`echo before; vi ${folder}/edit/lines; echo after; cat`))
        await screen.shows(/\n2\n3\n/)
        screen.type('dd')
        await screen.shows(/^2\n3\n/)
        screen.type(':wq')
        screen.press('Enter')
        assert.match(await screen.shows(/after/), image === 'Debian' ? /^before\n/ : /after/)
        screen.press('C-d')
        assert.match((await world.ssh(login, `head -n 2 ${folder}/edit/lines`)).stdout.toString(), /^2\n3\n$/)
      })
      test(`top in ${image} fills the screen, keeps to it after a resize, and quits`, async (t) => {
        const tmux = new Tmux()
        t.after(() => tmux.close())
        const screen = tmux.open('top', 80, 24, ours('top -d 1; echo over; cat'))
        const head = await screen.shows(/COMMAND/)
        assert.ok(head.split('\n').every((row) => row.length <= 80))
        screen.resize(120, 10)
        await screen.shows(/(?:^|\n)[^\n]*COMMAND[^\n]*\n[^\n]+/)
        screen.press('q')
        await screen.shows(/over/)
        screen.press('C-d')
      })
    }
  })
}
