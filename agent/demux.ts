/**
 * Takes apart what docker sends for a program without a terminal: stdout and stderr on one connection, each piece behind
 * an 8-byte header {lane, 0, 0, 0, length as u32 big-endian} (docker API v1.41, "Attach to a container", stream format).
 *
 * Both lanes share the one connection, so a lane whose reader stops must in the end hold the other up too: the choice is
 * between that, unbounded memory, and losing bytes. Here the connection is paused as soon as either lane holds its
 * buffer's worth (128 KiB, plus at most one chunk of the socket, 64 KiB), nothing is lost, and it goes on when the lane
 * is read again. A lane that was destroyed counts as read: its bytes are dropped.
 */
import { Readable } from 'node:stream'
import { OpsError } from '../src/core/errors.js'

/** Bytes a lane holds before the connection waits. */
export const LANE_BUFFER_BYTES = 128 * 1024
const HEADER_BYTES = 8

/** Lane numbers of docker's pkg/stdcopy; 0 is stdin, which the daemon writes where stdout is meant. */
const STDERR = 2
const SYSTEM_ERROR = 3

export class DockerDemux {
  readonly stdout: Readable
  readonly stderr: Readable
  readonly #source: Readable
  readonly #header = Buffer.alloc(HEADER_BYTES)
  /** Lanes that hold their buffer's worth and were not read since. */
  readonly #full = new Set<Readable>()
  #headerBytes = 0
  #lane = 0
  #left = 0
  #ended = false

  /** Reads `source` from now on, to its end; whoever made it destroys it. Broken framing fails both lanes with PROTOCOL_ERROR. */
  constructor(source: Readable) {
    this.#source = source
    const demux = this
    const open = () =>
      new Readable({
        highWaterMark: LANE_BUFFER_BYTES,
        read() {
          demux.#resume(this)
        },
      })
    this.stdout = open()
    this.stderr = open()
    for (const lane of [this.stdout, this.stderr]) {
      lane.on('close', () => this.#resume(lane))
      // Whoever reads a lane hears of its failure; one that nobody reads yet must not bring the agent down.
      lane.on('error', () => {})
    }
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => this.#end())
    source.on('error', (error) => this.fail(new OpsError('PROTOCOL_ERROR', `Connection to docker broke: ${error.message}`, { cause: error })))
    source.on('close', () => this.fail(new OpsError('PROTOCOL_ERROR', 'Connection to docker closed before the output ended')))
  }

  /** Ends both lanes with `error`, unless they have ended. */
  fail(error: OpsError): void {
    if (this.#ended) return
    this.#ended = true
    this.stdout.destroy(error)
    this.stderr.destroy(error)
  }

  #take(chunk: Buffer): void {
    if (this.#ended) return
    // What a chunk holds for one lane is pushed as one piece: a program that writes byte by byte must not cost a Buffer a byte.
    const pieces: [Buffer[], Buffer[]] = [[], []]
    for (let at = 0; at < chunk.length; ) {
      if (this.#left === 0) {
        const taken = chunk.copy(this.#header, this.#headerBytes, at, at + HEADER_BYTES - this.#headerBytes)
        at += taken
        this.#headerBytes += taken
        if (this.#headerBytes === HEADER_BYTES && !this.#openFrame()) return
        continue
      }
      const piece = chunk.subarray(at, at + this.#left)
      at += piece.length
      this.#left -= piece.length
      pieces[this.#lane === STDERR ? 1 : 0].push(piece)
    }
    this.#push(this.stdout, pieces[0])
    this.#push(this.stderr, pieces[1])
  }

  /** @returns whether the header was one */
  #openFrame(): boolean {
    const header = this.#header
    this.#headerBytes = 0
    this.#lane = header[0] as number
    this.#left = header.readUInt32BE(4)
    if (this.#lane <= STDERR && header[1] === 0 && header[2] === 0 && header[3] === 0) return true
    const what = this.#lane === SYSTEM_ERROR ? 'docker reports a failure of its own in the output' : `not a frame header: ${header.toString('hex')}`
    this.fail(new OpsError('PROTOCOL_ERROR', `Cannot read the output of docker: ${what}`))
    return false
  }

  #push(lane: Readable, pieces: readonly Buffer[]): void {
    const first = pieces[0]
    if (first === undefined || lane.destroyed) return
    if (lane.push(pieces.length === 1 ? first : Buffer.concat(pieces))) return
    this.#full.add(lane)
    this.#source.pause()
  }

  /** `lane` asks for more, or will take none again. Its own length says nothing yet: it asks before it gives away what it holds. */
  #resume(lane: Readable): void {
    this.#full.delete(lane)
    if (!this.#ended && this.#full.size === 0) this.#source.resume()
  }

  #end(): void {
    if (this.#ended) return
    if (this.#left > 0 || this.#headerBytes > 0) {
      this.fail(new OpsError('PROTOCOL_ERROR', 'The output of docker ended inside a frame'))
      return
    }
    this.#ended = true
    this.stdout.push(null)
    this.stderr.push(null)
  }
}
