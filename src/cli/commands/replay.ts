/** opsctl replay and watch: a session as its user saw it. */

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { type CastEvent, CastParser, readCast } from '../../wire/asciicast.js'
import { WebSocketDuplex } from '../../wire/ws-duplex.js'
import { type Cli, type Gateway, type GlobalOptions, gatewayOf, out, say, withInterrupt } from '../cli.js'
import { openWebSocket } from '../exec/channel.js'
import { GatewayError, UsageError } from '../problem.js'
import { DrawingFilter } from '../replay/filter.js'
import { replayInTerminal } from '../replay/screen.js'
import { Timeline } from '../replay/timeline.js'
import { isTerminal } from '../streams.js'
import { TerminalHold } from '../terminal/hold.js'
import { readKeys } from '../terminal/keys.js'
import { safe } from '../text/safe.js'
import { sessionTarget } from './resources.js'

interface ReplayOptions extends GlobalOptions {
  readonly speed: number
  readonly from?: number
  readonly idleLimit?: number
  readonly paused?: boolean
  readonly save?: string
}

/** Output that is held in memory for jumping about; longer recordings are for the console or `--save`. */
const MAX_REPLAY_CHARACTERS = 256 * 1024 * 1024

export function addReplay(program: Command, cli: Cli): void {
  program
    .command('replay')
    .description('play a recording in the terminal; without one, print what was shown')
    .argument('<session>', 'id of the session')
    .option('-s, --speed <n>', 'times as fast', positive('--speed'), 1)
    .option('--from <time>', 'begin at: 90, 1:30 or 1:02:03', parseOffset)
    .option('-i, --idle-limit <seconds>', 'shorten longer silences', positive('--idle-limit'))
    .option('--paused', 'show the moment and wait')
    .option('--save <file>', 'write the asciicast into a file in place of playing it')
    .addHelpText(
      'after',
      '\nKeys: space plays and pauses, left and right 5 s, shift with them 60 s, 0-9 tenths, up and down speed,\n, and . one step, [ and ] command before and after, q ends.',
    )
    .action((id: string, options: ReplayOptions) => replay(cli, id, options))
  program
    .command('watch')
    .description('look at a running session; q or Ctrl-C leaves it alone')
    .argument('<session>', 'id of the session')
    .action((id: string, options: GlobalOptions) => watch(cli, id, options))
}

function positive(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!(value > 0) || !Number.isFinite(value)) throw new UsageError(`${name}: "${text}" is not a number above 0`)
    return value
  }
}

/** "1:02:03" -> milliseconds. @throws UsageError */
export function parseOffset(text: string): number {
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(text)) throw new UsageError(`--from: "${text}" is not a time: write 90, 1:30 or 1:02:03`)
  return text.split(':').reduce((seconds, part) => seconds * 60 + Number(part), 0) * 1000
}

async function replay(cli: Cli, id: string, options: ReplayOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  const body = await recordingOf(gateway, id)
  if (options.save !== undefined) {
    // what somebody else saw is for nobody else on this machine
    await pipeline(body, createWriteStream(options.save, { mode: 0o600 }))
    say(cli, `Written to ${safe(options.save)}.\n`)
    return
  }
  if (!isTerminal(cli.streams.stdout) || !isTerminal(cli.streams.stdin)) return printOutput(cli, body)
  const events = await readEvents(body)
  const timeline = new Timeline(events, { idleLimitMs: options.idleLimit === undefined ? undefined : options.idleLimit * 1000 })
  await replayInTerminal(cli.streams, timeline, { speed: options.speed, startMs: options.from ?? 0, paused: options.paused ?? false, title: safe(id) })
}

async function recordingOf({ api }: Gateway, id: string): Promise<Readable> {
  const answer = await api.getRecording({ params: { id } }).catch((error: unknown) => {
    const isAbsent = error instanceof GatewayError && error.code === 'NOT_FOUND'
    throw isAbsent ? new GatewayError('NOT_FOUND', `no recording of session "${id}" that you may see`, { cause: error }) : error
  })
  if (!answer.body) throw new GatewayError('PROTOCOL_ERROR', 'the gateway answered without a recording')
  return Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0])
}

async function readEvents(body: AsyncIterable<Buffer>): Promise<CastEvent[]> {
  const events: CastEvent[] = []
  let characters = 0
  for await (const event of readCast(body)) {
    characters += event.data.length
    if (characters > MAX_REPLAY_CHARACTERS) throw new UsageError('the recording is too long for the terminal: use the console, or --save FILE', 1)
    events.push(event)
  }
  return events
}

/** No terminal: what was shown, at once. */
async function printOutput(cli: Cli, body: AsyncIterable<Buffer>): Promise<void> {
  const filter = isTerminal(cli.streams.stdout) ? new DrawingFilter() : undefined
  for await (const { code, data } of readCast(body)) {
    if (code === 'o' || code === 'e') await out(cli, filter ? filter.push(data) : data)
  }
}

async function watch(cli: Cli, id: string, options: GlobalOptions): Promise<void> {
  const gateway = await gatewayOf(cli, options)
  const session = await gateway.api.getSession({ params: { id } })
  const path = new URL(gateway.api.watchSession({ params: { id } }))
  await withInterrupt(async (interrupt) => {
    const left = new AbortController()
    const signal = AbortSignal.any([interrupt, left.signal])
    const socket = await openWebSocket(gateway.connection, path.pathname + path.search, [], signal)
    const title = `${safe(session.user)} in ${safe(sessionTarget(session))}`
    if (isTerminal(cli.streams.stdout)) await watchOnScreen(cli, new WebSocketDuplex(socket, { messages: true }), left, signal)
    else await show(cli, new WebSocketDuplex(socket, { messages: true }), signal, undefined)
    say(cli, left.signal.aborted || interrupt.aborted ? `Left the session of ${title}.\n` : `The session of ${title} has ended.\n`)
  })
}

async function watchOnScreen(cli: Cli, live: WebSocketDuplex, left: AbortController, signal: AbortSignal): Promise<void> {
  const { stdin } = cli.streams
  const hold = new TerminalHold(cli.streams, { screen: true })
  const onData = (bytes: Buffer): void => {
    if (readKeys(bytes).some((key) => key === 'q' || key === 'ctrl-c' || key === 'ctrl-d')) left.abort()
  }
  const onEnd = (): void => left.abort()
  stdin.on('data', onData).on('end', onEnd)
  stdin.resume()
  try {
    await show(cli, live, signal, new DrawingFilter())
  } finally {
    stdin.off('data', onData).off('end', onEnd)
    hold.release()
  }
}

/** Each message is a line of asciicast, with or without its line feed. */
async function show(cli: Cli, live: WebSocketDuplex, signal: AbortSignal, filter: DrawingFilter | undefined): Promise<void> {
  const parser = new CastParser()
  const onAbort = (): void => {
    live.destroy()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const message of live as AsyncIterable<Buffer>) {
      const line = message.at(-1) === 0x0a ? message : Buffer.concat([message, Buffer.from('\n')])
      for (const { code, data } of parser.push(line)) {
        if (code === 'o' || code === 'e') await out(cli, filter ? filter.push(data) : data)
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    live.end()
    if (!live.closed) await Promise.race([once(live, 'close'), new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    live.destroy()
  }
}
