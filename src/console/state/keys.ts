/** Keys of a page. A key typed into a field, or with Ctrl, Alt or Meta, belongs to the field or the browser. */
import { useEffect, useRef } from 'preact/hooks'

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>
const CHORD_KEY = 'g'
/** Second key of "g s" must follow within. */
const CHORD_MS = 1200

/** Names are KeyboardEvent.key, or two of them with a space for keys one after the other. */
export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    let before: { key: string; ms: number } | undefined
    const listen = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isTyping(event)) return
      const isSecond = before?.key === CHORD_KEY && event.timeStamp - before.ms < CHORD_MS
      before = { key: event.key, ms: event.timeStamp }
      // the second key of a chord is no key of its own, whoever listens for the chord
      const call = latest.current[isSecond ? `${CHORD_KEY} ${event.key}` : event.key]
      if (!call) return
      event.preventDefault()
      event.stopPropagation()
      call(event)
    }
    // before anything on the page: the player has keys of its own
    document.addEventListener('keydown', listen, { capture: true })
    return () => document.removeEventListener('keydown', listen, { capture: true })
  }, [])
}

function isTyping({ target }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest('dialog, .xterm') !== null
}

/** Moves the focus among the links and summaries of the first `.rows` of the page. */
export function moveInRows(step: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('main .rows .line:is(a, summary)')]
  if (rows.length === 0) return
  const at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement))
  const to = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))
  rows[to]?.focus()
  rows[to]?.scrollIntoView({ block: 'nearest' })
}
