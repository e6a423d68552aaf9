/**
 * The client's terminal modes (RFC 4254 s8) as arguments of `stty`.
 * Container runtimes make a pty with Linux' defaults and offer no way to change them, so what differs is set by the
 * shell that we start there. Line speeds are left alone: they mean nothing on a pty.
 */

interface Flag {
  readonly stty: string
  readonly byDefault: boolean
}
const on = (stty: string): Flag => ({ stty, byDefault: true })
const off = (stty: string): Flag => ({ stty, byDefault: false })

/** Name of the mode -> name for stty, and the kernel's default (tty_std_termios). */
const FLAGS: Readonly<Record<string, Flag>> = {
  IGNPAR: off('ignpar'),
  PARMRK: off('parmrk'),
  INPCK: off('inpck'),
  ISTRIP: off('istrip'),
  INLCR: off('inlcr'),
  IGNCR: off('igncr'),
  ICRNL: on('icrnl'),
  IUCLC: off('iuclc'),
  IXON: on('ixon'),
  IXANY: off('ixany'),
  IXOFF: off('ixoff'),
  IMAXBEL: off('imaxbel'),
  IUTF8: off('iutf8'),
  ISIG: on('isig'),
  ICANON: on('icanon'),
  ECHO: on('echo'),
  ECHOE: on('echoe'),
  ECHOK: on('echok'),
  ECHONL: off('echonl'),
  NOFLSH: off('noflsh'),
  TOSTOP: off('tostop'),
  IEXTEN: on('iexten'),
  ECHOCTL: on('echoctl'),
  ECHOKE: on('echoke'),
  OPOST: on('opost'),
  OLCUC: off('olcuc'),
  ONLCR: on('onlcr'),
  OCRNL: off('ocrnl'),
  ONOCR: off('onocr'),
  ONLRET: off('onlret'),
}

/** Name of the mode -> name for stty, and the default character. */
const CHARACTERS: Readonly<Record<string, readonly [stty: string, byDefault: number]>> = {
  VINTR: ['intr', 3],
  VQUIT: ['quit', 28],
  VERASE: ['erase', 127],
  VKILL: ['kill', 21],
  VEOF: ['eof', 4],
  VSTART: ['start', 17],
  VSTOP: ['stop', 19],
  VSUSP: ['susp', 26],
  VREPRINT: ['rprnt', 18],
  VWERASE: ['werase', 23],
  VLNEXT: ['lnext', 22],
}

/** `{ ECHO: 0, IUTF8: 1 }` -> `['iutf8', '-echo']`: what differs from the default, names from our table only. */
export function sttyArguments(modes: Readonly<Record<string, number>>): string[] {
  const result: string[] = []
  for (const [name, flag] of Object.entries(FLAGS)) {
    const value = modes[name]
    if (value !== undefined && (value !== 0) !== flag.byDefault) result.push(value !== 0 ? flag.stty : `-${flag.stty}`)
  }
  for (const [name, [stty, byDefault]] of Object.entries(CHARACTERS)) {
    const value = modes[name]
    if (value !== undefined && value !== byDefault) result.push(stty, characterText(value))
  }
  return result
}

/** stty reads "^C" in every image; busybox has no hexadecimal. 0 and 255 switch a character off. */
function characterText(value: number): string {
  if (value <= 0 || value >= 255) return 'undef'
  if (value < 32) return `^${String.fromCharCode(value + 64)}`
  return value === 127 ? '^?' : String.fromCharCode(value)
}
