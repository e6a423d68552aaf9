/**
 * The line editor: state + key -> state, as readline's emacs mode does it (GNU Readline 8, "Bindable Commands").
 * Pure: it draws nothing, waits for nothing and asks nobody.
 */
import { EDIT_COMMANDS } from './edit-commands.js'
import { type EditorState, insert, type Step } from './edit-state.js'
import type { Key } from './keys.js'
import { beginSearch, searchKey } from './search.js'

function command(state: EditorState, name: string): Step {
  if (state.prefix) {
    const plain = { ...state, prefix: false }
    return name === 'C-u' ? command(plain, 'C-_') : { state: { ...plain, last: 'other' }, effect: 'bell' }
  }
  if (name === 'C-r' || name === 'C-s') return { state: beginSearch(state, name === 'C-r') }
  const run = EDIT_COMMANDS[name]
  if (run === undefined) return { state: { ...state, last: 'other' }, ...(name === 'escape' ? {} : { effect: 'bell' as const }) }
  return run(state)
}

/** What `key` does to `state`. */
export function press(state: EditorState, key: Key): Step {
  if (state.search !== undefined) {
    const searched = searchKey(state, state.search, key)
    if (searched.handled) return searched.step
    return press(searched.step.state, key)
  }
  switch (key.kind) {
    case 'text':
      if (state.prefix) return { state: { ...state, prefix: false }, effect: 'bell' }
      return insert(state, key.text, 'insert')
    case 'quoted':
      return insert(state, key.text)
    case 'paste': {
      if (key.overflow) return { state: { ...state, overflow: true }, effect: 'bell' }
      const step = insert(state, key.text)
      return key.refused && step.effect === undefined ? { state: step.state, effect: 'bell' } : step
    }
    case 'refused':
      return { state, effect: 'bell' }
    case 'key':
      return command(state, key.name)
  }
}
