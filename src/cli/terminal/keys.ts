/** Bytes of a terminal -> names of keys, for screens of our own (replay, menu). Pure. */

const NAMED: Readonly<Record<string, string>> = {
  '\x1b[A': 'up',
  '\x1b[B': 'down',
  '\x1b[C': 'right',
  '\x1b[D': 'left',
  '\x1b[H': 'home',
  '\x1b[F': 'end',
  '\x1b[5~': 'page-up',
  '\x1b[6~': 'page-down',
  '\x1bOA': 'up',
  '\x1bOB': 'down',
  '\x1bOC': 'right',
  '\x1bOD': 'left',
  '\x1b[1;2C': 'shift-right',
  '\x1b[1;2D': 'shift-left',
  '\x03': 'ctrl-c',
  '\x04': 'ctrl-d',
  '\x0c': 'redraw',
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'erase',
  '\b': 'erase',
  '\x15': 'erase-all',
  ' ': 'space',
}
const SEQUENCE = /^\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z]|[^[O])/

/** Names, or the character itself; unknown sequences are left out. A sequence comes in one chunk from every terminal we know. */
export function readKeys(chunk: Buffer | string): string[] {
  let rest = chunk.toString()
  const keys: string[] = []
  while (rest !== '') {
    const sequence = SEQUENCE.exec(rest)?.[0]
    const one = sequence ?? [...rest][0] ?? ''
    rest = rest.slice(one.length)
    const name = NAMED[one]
    if (name) keys.push(name)
    else if (one === '\x1b') keys.push('escape')
    else if (!/^[\0-\x1f\x7f-\x9f]/.test(one)) keys.push(one)
  }
  return keys
}
