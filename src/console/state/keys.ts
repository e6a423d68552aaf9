/** Keys of a page. A key typed into a field, or with Ctrl, Alt or Meta, belongs to the field or the browser. */
import { useEffect, useRef } from 'preact/hooks'

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>
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
      const chord = before && event.timeStamp - before.ms < CHORD_MS ? latest.current[`${before.key} ${event.key}`] : undefined
      before = { key: event.key, ms: event.timeStamp }
      const call = chord ?? latest.current[event.key]
      if (!call) return
      event.preventDefault()
      call(event)
    }
    document.addEventListener('keydown', listen)
    return () => document.removeEventListener('keydown', listen)
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
