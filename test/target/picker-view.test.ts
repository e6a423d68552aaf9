import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import stringWidth from 'string-width'
import { PickerModel } from '../../src/target/picker-model.js'
import { paint } from '../../src/target/picker-paint.js'
import { columnWidths, drawMenu, fit, listRows, screenSize } from '../../src/target/picker-view.js'
import { listing } from './pods.js'
import { TinyTerminal } from './tiny-terminal.js'

const LISTINGS = [
  listing('a/default/tiny-0'),
  listing('a/shop/web-0', { container: 'web' }),
  listing('a/shop/web-0', { container: 'sidecar', state: 'CrashLoopBackOff' }),
  listing('a/shop/web-frontend-5f7d8c9b6d-x2x4z', { node: 'ip-10-12-13-14.eu-central-1.compute.internal' }),
  listing('b/bank/核心服务-0'),
]
function draw(model: PickerModel, columns: number, rows: number): TinyTerminal {
  const terminal = new TinyTerminal(columns, rows)
  terminal.write(paint(drawMenu(model.screen(listRows(rows)), columns, rows), undefined))
  return terminal
}
const drawn = (model: PickerModel, columns: number, rows: number) => draw(model, columns, rows).lines.filter((line) => line !== '')
function type(model: PickerModel, text: string): void {
  for (const letter of text) model.press({ name: 'text', text: letter }, 10)
}

test('view shows prompt, headings, pods and a hint at 80x24', () => {
  assert.deepEqual(drawn(new PickerModel(LISTINGS), 80, 24), [
    'Open:                                                                          4',
    'POD                         NAMESPACE  CLUSTER  NODE      STATE             CTRS',
    'tiny-0                      default    a        node-a    Running',
    'web-0                       shop       a        node-a    CrashLoopBackOff  2',
    'web-frontend-…8c9b6d-x2x4z  shop       a        ip-10-1…  Running',
    '核心服务-0                  bank       b        node-b    Running',
    'type to filter, Enter opens, Esc leaves',
  ])
})

test('view leaves columns out and cuts names at 40x10', () => {
  assert.deepEqual(drawn(new PickerModel(LISTINGS), 40, 10), [
    'Open:                                  4',
    'POD           NAMESP…  CLUSTER  STATE',
    'tiny-0        default  a        Running',
    'web-0         shop     a        CrashLo…',
    'web-fr…x2x4z  shop     a        Running',
    '核心服务-0    bank     b        Running',
    'type to filter, Enter opens, Esc leaves',
  ])
})

test('view draws every size without going beyond it', () => {
  const model = new PickerModel(LISTINGS)
  type(model, 'b核')
  for (let columns = 1; columns <= 120; columns += 7) {
    for (let rows = 1; rows <= 30; rows++) {
      const frame = drawMenu(model.screen(listRows(rows)), columns, rows)
      assert.equal(frame.lines.length, rows)
      assert.ok(frame.cursor.column < columns)
      draw(model, columns, rows)
    }
  }
})

test('view says plainly that there is nothing to open, and that nothing matches', () => {
  assert.ok(drawn(new PickerModel([]), 80, 24).includes('There is nothing that you may open.'))
  const model = new PickerModel(LISTINGS)
  type(model, 'nope')
  assert.ok(drawn(model, 80, 24).includes('Nothing matches. Backspace takes back a letter.'))
  assert.match(draw(model, 80, 24).lines[0] ?? '', /^Open: nope +0 of 4$/)
})

test('view paints only what changed', () => {
  const model = new PickerModel(LISTINGS)
  const first = drawMenu(model.screen(21), 80, 24)
  assert.equal(paint(first, first), '')
  model.press({ name: 'down' }, 21)
  const second = drawMenu(model.screen(21), 80, 24)
  const bytes = paint(second, first)
  assert.equal(bytes.match(/\x1b\[2K/g)?.length, 2)
  const terminal = new TinyTerminal(80, 24)
  terminal.write(paint(first, undefined) + bytes)
  assert.match(terminal.chosen ?? '', /^web-0/)
})

test('view never lets a name act on the terminal', () => {
  const nasty = '\u001b]0;own\u0007\u001b[2J\u009b31m\u202egnp\r\n\u0000'
  const model = new PickerModel([
    listing(`${nasty}/${nasty}/${nasty}`, { container: nasty, state: nasty, node: nasty }),
    listing(`a/b/${nasty}`),
    listing(`a/b/${nasty}`, { container: nasty }),
  ])
  draw(model, 200, 10)
  model.press({ name: 'enter' }, 7)
  draw(model, 200, 10)
  model.press({ name: 'down' }, 7)
  model.press({ name: 'enter' }, 7)
  draw(model, 200, 10)
})

test('view draws any text within any screen', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, text, text), { maxLength: 6 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 12 }),
      text,
      (names, columns, rows, filter) => {
        const model = new PickerModel(names.map(([name, state, node], i) => listing(`a/b/${name.replaceAll('/', '')}${i}`, { state, node })))
        type(model, filter)
        const frame = drawMenu(model.screen(listRows(rows)), columns, rows)
        for (const line of frame.lines) {
          assert.ok(stringWidth(line.text) <= columns, JSON.stringify(line))
          assert.doesNotMatch(line.text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('fit fills, cuts at the end or in the middle, and halves no wide character', () => {
  assert.equal(fit('abc', 5, 'end'), 'abc  ')
  assert.equal(fit('abcdef', 5, 'end'), 'abcd…')
  assert.equal(fit('abcdefghi', 5, 'middle'), 'ab…hi')
  assert.equal(fit('核心服务', 6, 'end'), '核心… ')
  assert.equal(fit('abc', 0, 'end'), '')
  assert.equal(fit('abc', 1, 'middle'), '…')
})

test('columns fit every width from their minima up, and the pod stays', () => {
  const columns = [
    { title: 'POD', minWidth: 12, cut: 'middle' as const },
    { title: 'NS', minWidth: 6, cut: 'end' as const, dropAt: 2 },
    { title: 'NODE', minWidth: 8, cut: 'end' as const, dropAt: 1 },
  ]
  for (let total = 12; total < 90; total++) {
    const widths = columnWidths(columns, [40, 10, 30], total)
    const shown = widths.filter((width) => width > 0)
    assert.ok(shown.reduce((sum, width) => sum + width, 0) + 2 * (shown.length - 1) <= total, `${total}: ${widths}`)
    assert.ok((widths[0] ?? 0) >= 12)
  }
  assert.deepEqual(columnWidths(columns, [40, 10, 30], 20), [12, 6, 0])
  assert.deepEqual(columnWidths(columns, [40, 10, 30], 84), [40, 10, 30])
})

test('screen size of a terminal that does not know it is 80x24, and an absurd one is bounded', () => {
  assert.deepEqual(screenSize({ columns: 0, rows: 0 }), { columns: 80, rows: 24 })
  assert.deepEqual(screenSize({ columns: 2 ** 31, rows: -1 }), { columns: 1000, rows: 24 })
})

test('model filters by every word in pod, namespace, cluster, node, state and container', () => {
  const found = (text: string) => {
    const model = new PickerModel(LISTINGS)
    type(model, text)
    return model.screen(10).lines.map(([name]) => name)
  }
  assert.deepEqual(found('shop web-0'), ['web-0'])
  assert.deepEqual(found('SIDECAR'), ['web-0'])
  assert.deepEqual(found('crash'), ['web-0'])
  assert.deepEqual(found('核心'), ['核心服务-0'])
  assert.deepEqual(found('compute'), ['web-frontend-5f7d8c9b6d-x2x4z'])
})

test('model moves, scrolls and pages within its bounds', () => {
  const model = new PickerModel(Array.from({ length: 100 }, (_, i) => listing(`a/b/p${String(i).padStart(2, '0')}`)))
  const chosen = (rows: number) => {
    const { lines, chosen: at } = model.screen(rows)
    return `${lines[at]?.[0]} of ${lines[0]?.[0]}-${lines.at(-1)?.[0]}`
  }
  const press = (...names: ('up' | 'down' | 'pageUp' | 'pageDown' | 'home' | 'end')[]) => {
    for (const name of names) model.press({ name }, 10)
    return chosen(10)
  }
  assert.equal(press('up'), 'p00 of p00-p09')
  assert.equal(press('pageDown'), 'p09 of p00-p09')
  assert.equal(press('down'), 'p10 of p01-p10')
  assert.equal(press('up', 'up', 'up'), 'p07 of p01-p10')
  assert.equal(press('end'), 'p99 of p90-p99')
  assert.equal(press('down'), 'p99 of p90-p99')
  assert.equal(press('pageUp'), 'p90 of p90-p99')
  assert.equal(chosen(3), 'p90 of p90-p92')
  assert.equal(press('home'), 'p00 of p00-p09')
})

test('model edits the filter by letter and by word, and erases it', () => {
  const model = new PickerModel(LISTINGS)
  type(model, 'ab 😀')
  const filters = (['erase', 'eraseWord', 'erase', 'erase', 'erase'] as const).map((name) => {
    model.press({ name }, 5)
    return model.screen(5).filter
  })
  assert.deepEqual(filters, ['ab ', '', '', '', ''])
  type(model, 'abc')
  model.press({ name: 'eraseAll' }, 5)
  assert.equal(model.screen(5).filter, '')
  type(model, 'x'.repeat(500))
  assert.ok(model.screen(5).filter.length <= 200)
})

test('model opens a pod of one container, lists those of several, and refuses what does not run', () => {
  const model = new PickerModel(LISTINGS)
  type(model, 'tiny')
  const outcome = model.press({ name: 'enter' }, 5)
  assert.equal(outcome.kind === 'chosen' && outcome.target.pod, 'tiny-0')
  model.press({ name: 'eraseAll' }, 5)
  type(model, 'web-0')
  assert.equal(model.press({ name: 'enter' }, 5).kind, 'stay')
  assert.equal(model.screen(5).prompt, 'Container of web-0: ')
  type(model, 'side')
  assert.equal(model.press({ name: 'enter' }, 5).kind, 'stay')
  assert.equal(model.screen(5).hint, 'sidecar does not run: CrashLoopBackOff')
  assert.equal(model.press({ name: 'back' }, 5).kind, 'stay')
  assert.equal(model.screen(5).filter, 'web-0')
  assert.equal(model.press({ name: 'back' }, 5).kind, 'leave')
  assert.equal(model.press({ name: 'leave' }, 5).kind, 'leave')
})

test('model keeps the chosen pod chosen when others come and go, and says when the open one is gone', () => {
  const model = new PickerModel(LISTINGS)
  for (let i = 0; i < 2; i++) model.press({ name: 'down' }, 10)
  const chosen = () => model.screen(10).lines[model.screen(10).chosen]?.[0]
  assert.equal(chosen(), 'web-frontend-5f7d8c9b6d-x2x4z')
  model.update([listing('a/aaa/first'), ...LISTINGS])
  assert.equal(chosen(), 'web-frontend-5f7d8c9b6d-x2x4z')
  model.press({ name: 'up' }, 10)
  model.press({ name: 'enter' }, 10)
  assert.match(model.screen(10).prompt, /Container of web-0/)
  model.update(LISTINGS.filter((one) => one.target.pod !== 'web-0'))
  assert.equal(model.screen(10).hint, 'that pod is gone')
  assert.equal(model.screen(10).count, 3)
  model.update([])
  assert.equal(model.press({ name: 'enter' }, 10).kind, 'stay')
})
