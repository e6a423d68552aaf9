/**
 * Kubernetes' channel protocol over a WebSocket, v5.channel.k8s.io, for a browser: wire/kube-channel.ts does the same with Node's
 * buffers, and a test holds the two together. Each message is a byte that names the channel, then its payload.
 */
export const PROTOCOL = 'v5.channel.k8s.io'
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const
const MAX_CELLS = 0xffff

export type FromTarget =
  | { readonly kind: 'output'; readonly bytes: Uint8Array }
  | { readonly kind: 'status'; readonly text: string; readonly isGood: boolean }
  | { readonly kind: 'other' }

export function inputMessage(text: string): Uint8Array<ArrayBuffer> {
  return message(CHANNEL.stdin, new TextEncoder().encode(text))
}

/** For bytes that are no text, as xterm.js hands over: one character a byte. */
export function bytesMessage(latin1: string): Uint8Array<ArrayBuffer> {
  return message(
    CHANNEL.stdin,
    Uint8Array.from(latin1, (each) => each.charCodeAt(0)),
  )
}

export function resizeMessage(columns: number, rows: number): Uint8Array<ArrayBuffer> {
  const cells = (value: number): number => Math.min(MAX_CELLS, Math.max(1, Math.trunc(value)))
  return message(CHANNEL.resize, new TextEncoder().encode(`${JSON.stringify({ Width: cells(columns), Height: cells(rows) })}\n`))
}

export function readMessage(data: ArrayBuffer): FromTarget {
  const bytes = new Uint8Array(data)
  const payload = bytes.subarray(1)
  switch (bytes[0]) {
    case CHANNEL.stdout:
    case CHANNEL.stderr:
      return { kind: 'output', bytes: payload }
    case CHANNEL.error:
      return statusOf(new TextDecoder().decode(payload))
    default:
      return { kind: 'other' }
  }
}

/** The Status that ends an exec, in words. */
function statusOf(json: string): FromTarget {
  const status = parsed(json)
  if (status.status === 'Success') return { kind: 'status', text: 'The session has ended.', isGood: true }
  const causes = Array.isArray(status.details?.causes) ? (status.details.causes as readonly { reason?: unknown; message?: unknown }[]) : []
  const code = causes.find(({ reason }) => reason === 'ExitCode')?.message
  if (status.reason === 'NonZeroExitCode' && code !== undefined)
    return { kind: 'status', text: `The session has ended with exit status ${String(code)}.`, isGood: true }
  return { kind: 'status', text: typeof status.message === 'string' ? status.message : 'The session has ended.', isGood: false }
}

function parsed(json: string): { status?: unknown; reason?: unknown; message?: unknown; details?: { causes?: unknown } } {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    // no status at all: the end is told without words
    return {}
  }
}

function message(channel: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(1 + payload.length)
  bytes[0] = channel
  bytes.set(payload, 1)
  return bytes
}
