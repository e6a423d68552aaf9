/** The words of a progress line. Pure. */
import { sizeText } from '../../core/units.js'
import { cellsOf, cut, pad } from '../text/width.js'

export interface Progress {
  readonly name: string
  readonly bytes: number
  /** Undefined when it is not known. */
  readonly total?: number | undefined
  readonly ms: number
}

/** "app.log          63% 12.0 MiB  4.1 MiB/s 00:02", as scp shows it, in `width` cells. */
export function progressText({ name, bytes, total, ms }: Progress, width: number): string {
  const perSecond = ms > 0 ? (bytes * 1000) / ms : 0
  const percent = total === undefined ? '' : `${total === 0 ? 100 : Math.floor((bytes * 100) / total)}%`
  const left = total === undefined || perSecond === 0 ? '--:--' : clock((total - bytes) / perSecond)
  const right = `${pad(percent, 4, 'right')} ${pad(sizeText(bytes), 10, 'right')} ${pad(`${sizeText(perSecond)}/s`, 12, 'right')} ${left}`
  const space = width - cellsOf(right) - 1
  return space < 4 ? cut(right.trim(), width) : `${pad(cut(name, space, 'middle'), space)} ${right}`
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole > 359_999) return '--:--'
  const two = (value: number) => String(value).padStart(2, '0')
  const hours = Math.floor(whole / 3600)
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`
}
