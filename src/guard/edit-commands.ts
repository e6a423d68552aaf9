/** The table: key -> what it does to the line. */
import { nextCharacter, previousCharacter } from './cells.js'
import { type EditorState, type Effect, edited, insert, type Step } from './edit-state.js'

type Command = (state: EditorState) => Step

/** Entries of the kill ring; readline keeps 10. */
const MAX_KILLS = 10
const WORD = /[\p{L}\p{N}\p{M}]/u

const only =
  (effect: Effect): Command =>
  (state) => ({ state: { ...state, last: 'other' }, effect })
const bell = only('bell')

function move(to: (state: EditorState) => number): Command {
  return (state) => ({ state: { ...state, cursor: to(state), last: 'other' } })
}

// ---------------------------------------------------------------- places in the text

const lineStart = ({ text, cursor }: EditorState) => (cursor === 0 ? 0 : text.lastIndexOf('\n', cursor - 1) + 1)
function lineEnd({ text, cursor }: EditorState): number {
  const end = text.indexOf('\n', cursor)
  return end < 0 ? text.length : end
}
function forward(text: string, from: number, within: (character: string) => boolean): number {
  let at = from
  while (at < text.length) {
    const next = nextCharacter(text, at)
    if (!within(text.slice(at, next))) break
    at = next
  }
  return at
}
function backward(text: string, from: number, within: (character: string) => boolean): number {
  let at = from
  while (at > 0) {
    const before = previousCharacter(text, at)
    if (!within(text.slice(before, at))) break
    at = before
  }
  return at
}
const inWord = (character: string) => WORD.test(character)
const notInWord = (character: string) => !WORD.test(character)
const blank = (character: string) => /^\s/.test(character)
const wordEnd = ({ text, cursor }: EditorState) => forward(text, forward(text, cursor, notInWord), inWord)
const wordStart = ({ text, cursor }: EditorState) => backward(text, backward(text, cursor, notInWord), inWord)
const blankWordStart = ({ text, cursor }: EditorState) => backward(text, backward(text, cursor, blank), (c) => !blank(c))

// ---------------------------------------------------------------- kill, yank, delete, undo

/** Removes what lies between the cursor and `to`; consecutive kills become one entry of the ring. */
function kill(to: (state: EditorState) => number): Command {
  return (state) => {
    const target = to(state)
    const [from, end] = target < state.cursor ? [target, state.cursor] : [state.cursor, target]
    if (from === end) return bell(state)
    const killed = state.text.slice(from, end)
    const direction = target < state.cursor ? 'kill-backward' : 'kill-forward'
    const joins = state.last === 'kill-backward' || state.last === 'kill-forward'
    const newest = joins ? (direction === 'kill-backward' ? killed + (state.kills[0] ?? '') : (state.kills[0] ?? '') + killed) : killed
    const kills = [newest, ...(joins ? state.kills.slice(1) : state.kills)].slice(0, MAX_KILLS)
    return { state: { ...edited(state, state.text.slice(0, from) + state.text.slice(end), from, direction), kills } }
  }
}

function remove(from: number, end: number, state: EditorState): Step {
  if (from === end) return bell(state)
  return { state: edited(state, state.text.slice(0, from) + state.text.slice(end), from) }
}

function yank(state: EditorState): Step {
  const killed = state.kills[0]
  if (killed === undefined) return bell(state)
  const step = insert(state, killed)
  return { ...step, state: { ...step.state, last: step.effect === undefined ? 'yank' : 'other', yankStart: state.cursor, yankIndex: 0 } }
}

/** Replaces what the last yank (or M-.) put in. */
function replaceYank(state: EditorState, text: string, yankIndex: number, last: 'yank' | 'yank-argument'): Step {
  const before = { ...state, text: state.text.slice(0, state.yankStart) + state.text.slice(state.cursor), cursor: state.yankStart }
  const step = insert(before, text)
  return { ...step, state: { ...step.state, undo: state.undo, last, yankStart: state.yankStart, yankIndex } }
}

function yankPop(state: EditorState): Step {
  if (state.last !== 'yank' || state.kills.length === 0) return bell(state)
  const index = (state.yankIndex + 1) % state.kills.length
  return replaceYank(state, state.kills[index] ?? '', index, 'yank')
}

/** The last word of an earlier line, one line further back each time. */
function yankArgument(state: EditorState): Step {
  const repeated = state.last === 'yank-argument'
  const index = repeated ? state.yankIndex + 1 : 1
  const line = state.history.entries.at(-index)
  if (index > state.history.entries.length || line === undefined) return { state, effect: 'bell' }
  const word = line.trim().match(/(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+$/)?.[0] ?? ''
  if (repeated) return replaceYank(state, word, index, 'yank-argument')
  const step = insert(state, word)
  return { ...step, state: { ...step.state, last: 'yank-argument', yankStart: state.cursor, yankIndex: index } }
}

function undo(state: EditorState): Step {
  const back = state.undo.at(-1)
  if (back === undefined) return bell(state)
  return { state: { ...state, ...back, undo: state.undo.slice(0, -1), overflow: false, last: 'other' } }
}

function revert(state: EditorState): Step {
  const first = state.undo[0]
  return first === undefined ? bell(state) : { state: { ...state, ...first, undo: [], overflow: false, last: 'other' } }
}

// ---------------------------------------------------------------- change

function transposeCharacters(state: EditorState): Step {
  const { text } = state
  const atEnd = state.cursor === text.length
  const middle = atEnd ? previousCharacter(text, state.cursor) : state.cursor
  const from = previousCharacter(text, middle)
  const end = nextCharacter(text, middle)
  if (middle === 0 || from === middle) return bell(state)
  return { state: edited(state, text.slice(0, from) + text.slice(middle, end) + text.slice(from, middle) + text.slice(end), end) }
}

function transposeWords(state: EditorState): Step {
  const { text } = state
  const secondEnd = wordEnd(state)
  const secondStart = backward(text, backward(text, secondEnd, notInWord), inWord)
  const firstEnd = backward(text, secondStart, notInWord)
  const firstStart = backward(text, firstEnd, inWord)
  if (firstStart === firstEnd || firstEnd > secondStart) return bell(state)
  const swapped = text.slice(secondStart, secondEnd) + text.slice(firstEnd, secondStart) + text.slice(firstStart, firstEnd)
  return { state: edited(state, text.slice(0, firstStart) + swapped + text.slice(secondEnd), secondEnd) }
}

function changeWord(change: (word: string) => string): Command {
  return (state) => {
    const end = wordEnd(state)
    const changed = change(state.text.slice(state.cursor, end))
    return { state: edited(state, state.text.slice(0, state.cursor) + changed + state.text.slice(end), state.cursor + changed.length) }
  }
}
const capitalized = (word: string) => word.toLowerCase().replace(WORD, (first) => first.toUpperCase())

// ---------------------------------------------------------------- history

/** Shows entry `position`; edits of the one that is left are kept until a line is accepted. */
export function showEntry(state: EditorState, position: number): Step {
  if (position < 0 || position > state.history.entries.length || position === state.position) return bell(state)
  const drafts = new Map(state.drafts).set(state.position, state.text)
  const text = drafts.get(position) ?? state.history.entries[position] ?? ''
  return { state: { ...state, text, cursor: text.length, position, drafts, undo: [], last: 'other' } }
}

/** The same column one line up or down; undefined on the first or last line. */
function sameColumn(state: EditorState, down: boolean): number | undefined {
  const start = lineStart(state)
  const column = state.cursor - start
  if (!down) {
    if (start === 0) return undefined
    const above = state.text.lastIndexOf('\n', start - 2) + 1
    return Math.min(above + column, start - 1)
  }
  const end = lineEnd(state)
  if (end === state.text.length) return undefined
  return Math.min(end + 1 + column, lineEnd({ ...state, cursor: end + 1 }))
}
function vertical(down: boolean): Command {
  return (state) => {
    const inside = sameColumn(state, down)
    if (inside === undefined) return showEntry(state, state.position + (down ? 1 : -1))
    // The same offset may lie inside a character of the other line.
    const before = previousCharacter(state.text, inside)
    return { state: { ...state, cursor: nextCharacter(state.text, before) === inside ? inside : before, last: 'other' } }
  }
}

/** Accepts the line; the next one starts with the entry after it. */
function operateAndGetNext(state: EditorState): Step {
  const next = state.position < state.history.entries.length ? state.position + 1 : undefined
  return { state: { ...state, next, last: 'other' }, effect: 'accept' }
}

const left = move(({ text, cursor }) => previousCharacter(text, cursor))
const right = move(({ text, cursor }) => nextCharacter(text, cursor))
const toWordStart = move(wordStart)
const toWordEnd = move(wordEnd)
const backspace: Command = (state) => remove(previousCharacter(state.text, state.cursor), state.cursor, state)
const deleteCharacter: Command = (state) => remove(state.cursor, nextCharacter(state.text, state.cursor), state)
const killWordBack = kill(wordStart)

/** Key name -> command. What is not here rings the bell. */
export const EDIT_COMMANDS: Readonly<Record<string, Command>> = {
  enter: only('accept'),
  'M-enter': only('accept'),
  tab: only('complete'),
  'M-?': only('complete'),
  'C-l': only('clear'),
  'C-c': only('interrupt'),
  'C-d': (state) => (state.text === '' ? { state, effect: 'eof' } : deleteCharacter(state)),
  'C-g': only('bell'),
  'C-x': (state) => ({ state: { ...state, prefix: true, last: 'other' } }),
  'C-o': operateAndGetNext,
  left,
  'C-b': left,
  right,
  'C-f': right,
  home: move(lineStart),
  'C-a': move(lineStart),
  end: move(lineEnd),
  'C-e': move(lineEnd),
  'M-b': toWordStart,
  'C-left': toWordStart,
  'M-left': toWordStart,
  'M-f': toWordEnd,
  'C-right': toWordEnd,
  'M-right': toWordEnd,
  up: vertical(false),
  'C-p': vertical(false),
  down: vertical(true),
  'C-n': vertical(true),
  'M-<': (state) => showEntry(state, 0),
  'page-up': (state) => showEntry(state, 0),
  'M->': (state) => showEntry(state, state.history.entries.length),
  'page-down': (state) => showEntry(state, state.history.entries.length),
  backspace,
  delete: deleteCharacter,
  'C-w': kill(blankWordStart),
  'C-u': kill(lineStart),
  'C-k': kill(lineEnd),
  'M-d': kill(wordEnd),
  'C-delete': kill(wordEnd),
  'M-backspace': killWordBack,
  'C-y': yank,
  'M-y': yankPop,
  'M-.': yankArgument,
  'M-_': yankArgument,
  'C-_': undo,
  'M-r': revert,
  'C-t': transposeCharacters,
  'M-t': transposeWords,
  'M-u': changeWord((word) => word.toUpperCase()),
  'M-l': changeWord((word) => word.toLowerCase()),
  'M-c': changeWord(capitalized),
  'M-\\': (state) => remove(backward(state.text, state.cursor, blank), forward(state.text, state.cursor, blank), state),
}
