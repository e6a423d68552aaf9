/**
 * Canonical JSON: one text for one value, so that a hash can be taken of it.
 * It is RFC 8785 (JCS): keys sorted by UTF-16 code units, no white space, numbers and strings as ECMAScript prints them, read as UTF-8.
 * One difference: a lone surrogate prints as its \u escape, where RFC 8785 refuses. What JSON.stringify drops (undefined, functions)
 * is dropped here too, so canonicalJson(v) equals canonicalJson(JSON.parse(JSON.stringify(v))).
 */

/** Deeper than any event of ours; a hostile file must not overflow the stack of the verifier. */
const MAX_DEPTH = 64

/**
 * @param without a key of the outermost object to leave out ("hash")
 * @throws RangeError when nested deeper than 64; TypeError for a bigint
 */
export function canonicalJson(value: unknown, without?: string): string {
  return print(value, '', 0, without) ?? 'null'
}

function print(value: unknown, key: string, depth: number, without?: string): string | undefined {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null'
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      return value === null ? 'null' : printObject(value, key, depth, without)
    case 'bigint':
      throw new TypeError('a bigint has no JSON form')
    default:
      return undefined
  }
}

function printObject(value: object, key: string, depth: number, without?: string): string | undefined {
  if (depth >= MAX_DEPTH) throw new RangeError(`nested deeper than ${MAX_DEPTH}`)
  if ('toJSON' in value && typeof value.toJSON === 'function') return print(value.toJSON(key), key, depth + 1, without)
  if (Array.isArray(value)) return `[${value.map((item, index) => print(item, String(index), depth + 1) ?? 'null').join()}]`
  const record = value as Record<string, unknown>
  let text = ''
  for (const name of Object.keys(record).sort()) {
    if (name === without) continue
    const printed = print(record[name], name, depth + 1)
    if (printed === undefined) continue
    // Plain names need no escapes; JSON.stringify per key would be the most costly part of an event.
    text += `${text === '' ? '' : ','}${isPlain(name) ? `"${name}"` : JSON.stringify(name)}:${printed}`
  }
  return `{${text}}`
}

/** Whether a key prints as itself. */
function isPlain(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false
  }
  return true
}
