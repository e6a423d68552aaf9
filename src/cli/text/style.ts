/** Colour, where it is wanted: https://no-color.org, and never into a file. */

const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39], inverse: [7, 27] } as const
export type StyleName = keyof typeof CODES
/** Wraps text in a colour, or leaves it as it is. */
export type Paint = (style: StyleName, text: string) => string

/** @param isTerminal whether what is painted goes to a terminal */
export function painter(env: NodeJS.ProcessEnv, isTerminal: boolean): Paint {
  const wanted = isTerminal && !env.NO_COLOR && env.TERM !== 'dumb'
  return (style, text) => (wanted ? `\x1b[${CODES[style][0]}m${text}\x1b[${CODES[style][1]}m` : text)
}
