/** Incremental search through the history: C-r and C-s. */
import { type EditorState, newLine, type Search, type Step } from './edit-state.js'
import { findEntry } from './history.js'
import type { Key } from './keys.js'

export function beginSearch(state: EditorState, older: boolean): EditorState {
  const from = { text: state.text, cursor: state.cursor, position: state.position }
  return { ...state, last: 'other', search: { pattern: '', older, failed: false, from } }
}

/** The line that is shown in place of the prompt while searching. */
export function searchPrompt(search: Search): string {
  return `(${search.failed ? 'failed ' : ''}${search.older ? 'reverse-' : ''}i-search)\`${search.pattern}': `
}

/** Looks for `search.pattern` from entry `start` on; the line found becomes the text, the cursor stands on the match. */
function look(state: EditorState, search: Search, start: number): EditorState {
  if (search.pattern === '') return { ...state, search }
  const found = findEntry(state.history, search.pattern, start, search.older)
  const text = found === undefined ? undefined : state.history.entries[found]
  if (found === undefined || text === undefined) return { ...state, search: { ...search, failed: true } }
  const cursor = search.older ? text.lastIndexOf(search.pattern) : text.indexOf(search.pattern)
  return { ...state, text, cursor, position: found, search: { ...search, failed: false } }
}

function again(state: EditorState, search: Search, older: boolean): EditorState {
  const turned = { ...search, older }
  if (search.pattern === '') return { ...state, search: turned }
  return look(state, turned, state.position + (older ? -1 : 1))
}

function typed(state: EditorState, search: Search, text: string): EditorState {
  const pattern = search.pattern + text
  if (pattern.length > 1024) return state
  return look(state, { ...search, pattern }, Math.min(state.position, state.history.entries.length - 1))
}

function shorter(state: EditorState, search: Search): EditorState {
  const pattern = [...search.pattern].slice(0, -1).join('')
  const restarted = { ...state, ...search.from }
  return look(restarted, { ...search, pattern, failed: false }, Math.min(search.from.position, state.history.entries.length - 1))
}

/** A key while searching. `handled: false`: the search has ended where it stands, and the key is still to be done. */
export function searchKey(state: EditorState, search: Search, key: Key): { readonly handled: boolean; readonly step: Step } {
  const done = (next: EditorState, step: Partial<Step> = {}) => ({ handled: true, step: { ...step, state: next } })
  const ended = { ...state, search: undefined }
  if (key.kind === 'text') return done(typed(state, search, key.text))
  if (key.kind === 'paste' && !key.overflow) return done(typed(state, search, key.text.replace(/\n[\s\S]*$/, '')))
  if (key.kind === 'refused') return done(state, { effect: 'bell' })
  if (key.kind !== 'key') return { handled: false, step: { state: ended } }
  if (key.name === 'C-r' || key.name === 'C-s') return done(again(state, search, key.name === 'C-r'))
  if (key.name === 'backspace') return done(search.pattern === '' ? state : shorter(state, search))
  if (key.name === 'C-g') return done({ ...ended, ...search.from }, { effect: 'bell' })
  if (key.name === 'C-c') return { handled: true, step: { state: { ...newLine(state), kills: state.kills }, effect: 'interrupt' } }
  if (key.name === 'escape') return done(ended)
  return { handled: false, step: { state: ended } }
}
