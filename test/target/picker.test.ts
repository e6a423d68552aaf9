import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type PassThrough, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { PtyRequest, Target, TargetListing } from '../../src/core/types.js'
import { type PickerOptions, pick } from '../../src/target/picker.js'
import { FakeClient } from '../support/ends.js'
import { listing } from './pods.js'
import { TinyTerminal } from './tiny-terminal.js'

const LISTINGS = [
  listing('a/default/tiny-0'),
  listing('a/shop/web-0', { container: 'web' }),
  listing('a/shop/web-0', { container: 'sidecar' }),
  listing('b/bank/core-0'),
]
const pty = (columns: number, rows: number, term = 'xterm'): PtyRequest => ({ term, size: { columns, rows, widthPx: 0, heightPx: 0 }, modes: {} })
const never = new AbortController().signal

/** A client whose output is drawn on a terminal, and a picker that runs for it. */
class Scene {
  readonly client = new FakeClient()
  readonly picked: Promise<Target | undefined>
  terminal: TinyTerminal
  #drawn: (() => void)[] = []

  constructor(
    listings: () => readonly TargetListing[],
    more: { readonly signal?: AbortSignal; readonly options?: PickerOptions; readonly columns?: number; readonly rows?: number } = {},
  ) {
    const { columns = 80, rows = 24 } = more
    this.terminal = new TinyTerminal(columns, rows)
    this.client.stdout.on('data', (chunk: Buffer) => {
      this.terminal.write(chunk.toString())
      for (const done of this.#drawn.splice(0)) done()
    })
    this.picked = pick(this.client, listings, pty(columns, rows), more.signal ?? never, { escapeMs: 20, ...more.options })
    this.picked.catch(() => undefined)
  }
  /** Resolves once the screen is as `wanted` says. */
  async shows(wanted: (terminal: TinyTerminal) => boolean): Promise<void> {
    while (!wanted(this.terminal)) await new Promise<void>((resolve) => this.#drawn.push(resolve))
  }
  type(text: string): void {
    this.client.stdin.write(text)
  }
  /** The screen was given back; waits for the last bytes. */
  async left(): Promise<void> {
    await this.shows((terminal) => !terminal.alternate && terminal.wraps && terminal.cursorShown)
  }
}
const lineWith = (text: string) => (terminal: TinyTerminal) => terminal.lines.some((line) => line.includes(text))

test('picker opens what was typed and chosen, on the alternate screen, and gives the screen back', async () => {
  const scene = new Scene(() => LISTINGS)
  await scene.shows(lineWith('core-0'))
  assert.ok(scene.terminal.alternate)
  scene.type('core')
  await scene.shows((terminal) => terminal.chosen?.startsWith('core-0') === true)
  scene.type('\r')
  assert.equal((await scene.picked)?.pod, 'core-0')
  await scene.left()
})

test('picker shows the containers of a pod as a second list', async () => {
  const scene = new Scene(() => LISTINGS)
  await scene.shows(lineWith('web-0'))
  scene.type('\x1b[B\r')
  await scene.shows(lineWith('Container of web-0'))
  scene.type('\x0e\r')
  assert.equal((await scene.picked)?.container, 'sidecar')
})

test('picker understands an arrow whose bytes come one by one', async () => {
  const scene = new Scene(() => LISTINGS, { options: { escapeMs: 5000 } })
  await scene.shows(lineWith('web-0'))
  for (const byte of ['\x1b', '[', 'B']) {
    scene.type(byte)
    await once(scene.client.stdin, 'readable')
  }
  await scene.shows((terminal) => terminal.chosen?.startsWith('web-0') === true)
  scene.type('\x03')
  assert.equal(await scene.picked, undefined)
})

for (const [what, bytes] of [
  ['Esc', '\x1b'],
  ['Ctrl-C', '\x03'],
  ['Ctrl-D', '\x04'],
] as const) {
  test(`picker is left with ${what}`, async () => {
    const scene = new Scene(() => LISTINGS)
    await scene.shows(lineWith('web-0'))
    scene.type(bytes)
    assert.equal(await scene.picked, undefined)
    await scene.left()
  })
}

const READERS: readonly (readonly [string, (stdin: PassThrough) => Promise<string>])[] = [
  [
    'an iterator',
    async (stdin) => {
      let text = ''
      for await (const chunk of stdin) text += String(chunk)
      return text
    },
  ],
  [
    'pipeline',
    async (stdin) => {
      let text = ''
      await pipeline(
        stdin,
        new Writable({
          write: (chunk, _, done) => {
            text += String(chunk)
            done()
          },
        }),
      )
      return text
    },
  ],
  [
    'data events',
    async (stdin) => {
      let text = ''
      stdin.on('data', (chunk) => {
        text += String(chunk)
      })
      await once(stdin, 'end')
      return text
    },
  ],
]
for (const [how, read] of READERS) {
  test(`picker leaves what was typed after the choice to the session, read by ${how}`, async () => {
    const scene = new Scene(() => LISTINGS)
    await scene.shows(lineWith('web-0'))
    scene.client.stdin.cork()
    scene.type('core\rls -l\r')
    scene.type('exit\r')
    scene.client.stdin.uncork()
    assert.equal((await scene.picked)?.pod, 'core-0')
    scene.type('later')
    scene.client.stdin.end()
    assert.equal(await read(scene.client.stdin), 'ls -l\rexit\rlater')
  })
}

test('picker loses no byte when choice and end of input come together', async () => {
  const scene = new Scene(() => LISTINGS)
  scene.client.stdin.end('core\rid\r')
  assert.equal((await scene.picked)?.pod, 'core-0')
  assert.equal(Buffer.concat(await scene.client.stdin.toArray()).toString(), 'id\r')
})

test('picker is left at the end of input', async () => {
  const scene = new Scene(() => LISTINGS)
  scene.client.stdin.end('co')
  assert.equal(await scene.picked, undefined)
  await scene.left()
})

test('picker is left when the client is gone, before and while it runs', async () => {
  const scene = new Scene(() => LISTINGS)
  await scene.shows(lineWith('web-0'))
  scene.client.leave()
  assert.equal(await scene.picked, undefined)
  assert.equal(await pick(scene.client, () => LISTINGS, pty(80, 24), never), undefined)
})

test('picker rethrows the reason of its signal and gives the screen back', async () => {
  const stop = new AbortController()
  const scene = new Scene(() => LISTINGS, { signal: stop.signal })
  await scene.shows(lineWith('web-0'))
  const reason = new OpsError('DRAINING', 'shutting down')
  stop.abort(reason)
  await assert.rejects(scene.picked, reason)
  await scene.left()
  await assert.rejects(
    pick(new FakeClient(), () => LISTINGS, pty(80, 24), stop.signal),
    reason,
  )
})

test('picker leaves no listener behind', async () => {
  const stop = new AbortController()
  let subscribed = 0
  const onChange = () => {
    subscribed++
    return () => {
      subscribed--
    }
  }
  const scene = new Scene(() => LISTINGS, { signal: stop.signal, options: { onChange } })
  const before = ['drain', 'error'].map((name) => new FakeClient().stdout.listenerCount(name))
  scene.type('core\r')
  await scene.picked
  assert.equal(subscribed, 0)
  assert.deepEqual(
    ['readable', 'data'].map((name) => scene.client.stdin.listenerCount(name)),
    [0, 0],
  )
  assert.deepEqual(
    ['drain', 'error'].map((name) => scene.client.stdout.listenerCount(name)),
    before,
  )
})

test('picker draws anew for another size', async () => {
  const scene = new Scene(() => LISTINGS)
  await scene.shows(lineWith('NODE'))
  scene.terminal = new TinyTerminal(40, 10)
  scene.client.resize({ columns: 40, rows: 10, widthPx: 0, heightPx: 0 })
  await scene.shows(lineWith('core-0'))
  assert.ok(!lineWith('NODE')(scene.terminal))
  scene.type('\x03')
  await scene.picked
})

test('picker shows a pod that comes while it is open, told or not', async (t: TestContext) => {
  for (const told of [true, false]) {
    await t.test(told ? 'told' : 'not told', async () => {
      let listings: readonly TargetListing[] = []
      let tell: () => void = () => {}
      const onChange = (listener: () => void) => {
        tell = listener
        return () => {}
      }
      const scene = new Scene(() => listings, told ? { options: { onChange } } : {})
      await scene.shows(lineWith('There is nothing that you may open.'))
      listings = LISTINGS
      tell()
      await scene.shows(lineWith('core-0'))
      scene.type('core\r')
      assert.equal((await scene.picked)?.pod, 'core-0')
    })
  }
})

test('picker holds back while a client does not read, and then shows the latest state only', async () => {
  const client = new FakeClient()
  const held: { readonly text: string; readonly done: () => void }[] = []
  const stdout = new Writable({
    highWaterMark: 16,
    write: (chunk: Buffer, _, done) => {
      held.push({ text: chunk.toString(), done })
    },
  })
  Object.defineProperty(client, 'stdout', { value: stdout })
  const picked = pick(client, () => LISTINGS, pty(80, 24), never)
  for (let i = 0; i < 500; i++) client.resize({ columns: 80 - (i % 2) * 40, rows: 10, widthPx: 0, heightPx: 0 })
  assert.ok(stdout.writableLength < 1024, String(stdout.writableLength))
  const terminal = new TinyTerminal(40, 10)
  for (let chunk = held.shift(); chunk; chunk = held.shift()) {
    terminal.write(chunk.text)
    chunk.done()
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(lineWith('core-0')(terminal) && !lineWith('NODE')(terminal))
  client.leave()
  assert.equal(await picked, undefined)
})

test('picker asks for a target where the terminal cannot place a cursor', async () => {
  await assert.rejects(
    pick(new FakeClient(), () => LISTINGS, pty(80, 24, 'dumb'), never),
    { code: 'TARGET_REQUIRED' },
  )
})

test('picker whose list fails gives the screen back and says why', async () => {
  let listings = () => LISTINGS
  const scene = new Scene(() => listings())
  await scene.shows(lineWith('web-0'))
  listings = () => {
    throw new OpsError('INTERNAL', 'no list')
  }
  await assert.rejects(scene.picked, /no list/)
  await scene.left()
})
