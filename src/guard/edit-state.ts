/** What the line editor knows between two keys, and the two ways its text changes. */
import { nextCharacter, previousCharacter } from './cells.js'
import { EMPTY_HISTORY, type History } from './history.js'

/** Longest line that can be entered, in bytes of UTF-8. */
export const MAX_LINE_BYTES = 64 * 1024

export interface Snapshot {
  readonly text: string
  readonly cursor: number
}
/** What the last key was, where the next one cares: kills join, a yank can be popped, typing is undone as one. */
export type LastAction = 'other' | 'insert' | 'kill-forward' | 'kill-backward' | 'yank' | 'yank-argument'

/** An incremental search in progress. */
export interface Search {
  readonly pattern: string
  readonly older: boolean
  readonly failed: boolean
  /** Where the search began, to come back to with C-g. */
  readonly from: { readonly text: string; readonly cursor: number; readonly position: number }
}

export interface EditorState {
  /** The whole line; newlines inside when it has several. */
  readonly text: string
  /** UTF-16 index into `text`, always between characters. */
  readonly cursor: number
  readonly history: History
  /** Which history entry is shown; `history.entries.length` is the new line. */
  readonly position: number
  /** Entries as edited and left again, until a line is accepted. */
  readonly drafts: ReadonlyMap<number, string>
  /** Newest first. */
  readonly kills: readonly string[]
  readonly last: LastAction
  /** Start of the text that the last yank put in. */
  readonly yankStart: number
  /** How far M-y or M-. has gone back. */
  readonly yankIndex: number
  readonly undo: readonly Snapshot[]
  readonly search: Search | undefined
  /** C-x was pressed. */
  readonly prefix: boolean
  /** More came than a line can hold: Enter must refuse it, never run a part of it. */
  readonly overflow: boolean
  /** C-o: after this line the history goes on here. */
  readonly next: number | undefined
}

export type Effect = 'accept' | 'eof' | 'interrupt' | 'complete' | 'clear' | 'bell'
export interface Step {
  readonly state: EditorState
  readonly effect?: Effect
}

/** An empty line with the history so far. `C-o` of the line before may have chosen what it starts with. */
export function newLine(previous?: EditorState, history: History = previous?.history ?? EMPTY_HISTORY): EditorState {
  const chosen = previous?.next === undefined ? undefined : history.entries[previous.next]
  const text = chosen ?? ''
  return {
    text,
    cursor: text.length,
    history,
    position: chosen === undefined ? history.entries.length : (previous?.next ?? 0),
    drafts: new Map(),
    kills: previous?.kills ?? [],
    last: 'other',
    yankStart: 0,
    yankIndex: 0,
    undo: [],
    search: undefined,
    prefix: false,
    overflow: false,
    next: undefined,
  }
}

/** `cursor`, moved behind the character that it stands in: an edit can join what comes after it with what was before. */
function betweenCharacters(text: string, cursor: number): number {
  if (cursor === 0 || cursor >= text.length || text.charCodeAt(cursor) < 0x300) return cursor
  return nextCharacter(text, previousCharacter(text, cursor))
}

const MAX_UNDO = 256
/** UTF-16 units over all snapshots, so that undo of a huge line is short and not expensive. */
const MAX_UNDO_UNITS = 1024 * 1024

/** `state` with another text, and the way back to it. Consecutive typing shares one way back. */
export function edited(state: EditorState, text: string, wanted: number, last: LastAction = 'other'): EditorState {
  const cursor = betweenCharacters(text, wanted)
  if (text === state.text) return { ...state, cursor, last }
  if (last === 'insert' && state.last === 'insert' && state.undo.length > 0) return { ...state, text, cursor, last }
  let undo: readonly Snapshot[] = [...state.undo, { text: state.text, cursor: state.cursor }]
  const most = Math.max(1, Math.min(MAX_UNDO, Math.floor(MAX_UNDO_UNITS / (text.length + 1))))
  if (undo.length > most) undo = undo.slice(-most)
  return { ...state, text, cursor, last, undo }
}

/** Puts `inserted` in at the cursor; refuses all of it when the line would outgrow its limit. */
export function insert(state: EditorState, inserted: string, last: LastAction = 'other'): Step {
  const units = state.text.length + inserted.length
  if (units * 3 > MAX_LINE_BYTES && Buffer.byteLength(state.text) + Buffer.byteLength(inserted) > MAX_LINE_BYTES) {
    return { state: { ...state, overflow: true, last: 'other' }, effect: 'bell' }
  }
  const text = state.text.slice(0, state.cursor) + inserted + state.text.slice(state.cursor)
  return { state: edited(state, text, state.cursor + inserted.length, last) }
}
