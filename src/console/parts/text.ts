/** Values as people read them. */

/** "0.4 s", "12 s", "3 m 05 s", "1 h 02 m". */
export function durationText(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`
  return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} m`
}

/** A place in a recording: "0:07", "12:34", "1:02:03". */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number) => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Powers of 1000, as disks and networks count. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** "14:03:22" today, "12 Nov 14:03" this year, "12 Nov 2025" before. */
export function timeText(at: Date, now: Date): string {
  if (at.toDateString() === now.toDateString()) return at.toLocaleTimeString('en-GB')
  if (at.getFullYear() !== now.getFullYear()) return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
  return `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })} ${at.toLocaleTimeString('en-GB').slice(0, 5)}`
}

/** Text of a peer, cut where it holds what a browser would obey or hide: controls, bidi marks, invisible characters. */
export interface Piece {
  readonly text: string
  /** Stands for a character that is not shown as it is. */
  readonly isEscape: boolean
}
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u
const NAMES: Readonly<Record<string, string>> = { '\n': '⏎', '\t': '⇥', '\r': '␍', '\u001b': '␛' }

export function visiblePieces(text: string): readonly Piece[] {
  const pieces: Piece[] = []
  let plain = ''
  for (const character of text) {
    if (!HIDDEN.test(character)) {
      plain += character
      continue
    }
    if (plain !== '') pieces.push({ text: plain, isEscape: false })
    plain = ''
    pieces.push({ text: NAMES[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`, isEscape: true })
  }
  if (plain !== '') pieces.push({ text: plain, isEscape: false })
  return pieces
}

/** Bytes that are no UTF-8, as a shell would write them: what is ASCII, and \xNN. */
export function bytesLine(base64: string): string {
  return [...atob(base64)].map((byte) => (byte >= ' ' && byte <= '~' ? byte : `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)).join('')
}

/** `cluster/namespace/pod/container`. */
export function targetName(target: { readonly cluster: string; readonly namespace: string; readonly pod: string; readonly container: string }): string {
  return `${target.cluster}/${target.namespace}/${target.pod}/${target.container}`
}
