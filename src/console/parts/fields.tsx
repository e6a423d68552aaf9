/** Fields of filters: each writes itself into the address. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { SINCE } from '../state/range.js'
import { Icon } from './icon.js'

interface FieldProps {
  readonly label: string
  readonly value: string | undefined
  readonly onChange: (value: string) => void
}
/** So long after the last key is what was typed asked for. */
const PAUSE_MS = 250

export function TextFilter({ label, value = '', onChange, isSearch = false }: FieldProps & { readonly isSearch?: boolean }) {
  const [typed, setTyped] = useState(value)
  const timer = useRef<number>()
  useEffect(() => {
    // the address changed by other means: a link, "clear", the browser's way back
    if (timer.current === undefined) setTyped(value)
  }, [value])
  useEffect(() => () => clearTimeout(timer.current), [])
  const send = (text: string): void => {
    clearTimeout(timer.current)
    timer.current = undefined
    onChange(text.trim())
  }
  const field = (
    <input
      type={isSearch ? 'search' : 'text'}
      aria-label={label}
      placeholder={label}
      value={typed}
      autocomplete="off"
      spellcheck={false}
      {...(isSearch && { 'data-search': '' })}
      onInput={({ currentTarget }) => {
        const { value: text } = currentTarget
        setTyped(text)
        clearTimeout(timer.current)
        timer.current = window.setTimeout(() => send(text), PAUSE_MS)
      }}
      onKeyDown={({ key, currentTarget }) => {
        if (key === 'Enter') send(currentTarget.value)
        if (key === 'Escape') currentTarget.blur()
      }}
    />
  )
  if (!isSearch) return field
  return (
    <div class="search">
      <Icon name="search" />
      {field}
    </div>
  )
}

export function ChoiceFilter({ label, value = '', onChange, options }: FieldProps & { readonly options: Readonly<Record<string, string>> }) {
  return (
    <select aria-label={label} value={value} onChange={({ currentTarget }) => onChange(currentTarget.value)}>
      <option value="">{label}: any</option>
      {Object.entries(options).map(([name, text]) => (
        <option key={name} value={name}>
          {text}
        </option>
      ))}
    </select>
  )
}

interface RangeProps {
  readonly values: { readonly since?: string; readonly from?: string; readonly to?: string }
  readonly set: (changes: { since?: string; from?: string; to?: string }) => void
}
/** A span back from now, or two moments of one's own. */
export function RangeFilter({ values, set }: RangeProps) {
  const isOwn = values.from !== undefined || values.to !== undefined
  const [isOpen, setOpen] = useState(isOwn)
  const choose = (value: string): void => {
    setOpen(value === 'own')
    if (value !== 'own') set({ since: value, from: '', to: '' })
  }
  return (
    <>
      <select aria-label="Time" value={isOpen || isOwn ? 'own' : (values.since ?? '')} onChange={({ currentTarget }) => choose(currentTarget.value)}>
        <option value="">Time: any</option>
        {Object.entries(SINCE).map(([name, { label }]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
        <option value="own">From … to …</option>
      </select>
      {(isOpen || isOwn) && (
        <>
          <input
            type="datetime-local"
            step="1"
            aria-label="From"
            value={values.from}
            onChange={({ currentTarget }) => set({ from: currentTarget.value, since: '' })}
          />
          <input
            type="datetime-local"
            step="1"
            aria-label="To"
            value={values.to}
            onChange={({ currentTarget }) => set({ to: currentTarget.value, since: '' })}
          />
        </>
      )}
    </>
  )
}
