/** Copies between this machine and a container, one file after the other. */
import { createReadStream, createWriteStream } from 'node:fs'
import { chmod, mkdir, open, opendir, rename, rm, stat, utimes } from 'node:fs/promises'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FileFactsItem } from '../../wire/api/files.js'
import { UsageError } from '../problem.js'
import { baseName, checkedName, joined } from './place.js'
import type { RemoteFiles } from './remote.js'

export interface CopyOptions {
  readonly recursive: boolean
  /** Files that are at the destination already, with the same size, are left alone; a download that was broken off goes on where it ended. */
  readonly resume: boolean
  /** Modes and times too (times only on the way down). */
  readonly preserve: boolean
  readonly signal: AbortSignal
  /** Called as bytes go; `done` once for each file. */
  readonly progress: (name: string, bytes: number, total: number | undefined) => void
  /** What is left out, and why. */
  readonly skipped: (path: string, why: string) => void
}

/** Counts what was copied. */
export interface Copied {
  files: number
  bytes: number
  kept: number
}

export function nothingCopied(): Copied {
  return { files: 0, bytes: 0, kept: 0 }
}

/** Down: `from` in the container to `to` here. */
export async function download(files: RemoteFiles, from: string, to: string, options: CopyOptions, copied: Copied): Promise<void> {
  const facts = await files.stat(from)
  if (!facts) throw new UsageError(`${files.target}:${from}: no such file or directory`, 255)
  const isDirectory = await isLocalDirectory(to)
  const path = isDirectory ? joined(to, baseName(from)) : to
  if (facts.kind === 'directory') {
    if (!options.recursive) throw new UsageError(`${files.target}:${from} is a directory: add -r`)
    await downloadTree(files, from, path, options, copied)
  } else await downloadFile(files, from, path, facts, options, copied)
}

async function downloadTree(files: RemoteFiles, from: string, to: string, options: CopyOptions, copied: Copied): Promise<void> {
  await mkdir(to, { recursive: true })
  for (const entry of await files.list(from)) {
    options.signal.throwIfAborted()
    const name = checkedName(entry.name)
    if (entry.kind === 'directory') await downloadTree(files, joined(from, name), joined(to, name), options, copied)
    else if (entry.kind === 'file') await downloadFile(files, joined(from, name), joined(to, name), entry, options, copied)
    else options.skipped(joined(from, name), `is a ${entry.kind}`)
  }
}

/** Into a file beside it, which takes its name when it is whole: what is half done never looks done. */
async function downloadFile(files: RemoteFiles, from: string, to: string, facts: FileFactsItem, options: CopyOptions, copied: Copied): Promise<void> {
  if (options.resume && (await localSize(to)) === facts.size) {
    copied.kept++
    return
  }
  // a part is of one state of the source: of another it is not gone on with
  const part = options.resume ? `${to}.${facts.size}-${Date.parse(facts.mtime)}.dockin-part` : `${to}.dockin-part`
  const held = options.resume ? ((await localSize(part)) ?? 0) : 0
  try {
    if (held < facts.size || facts.size === 0) {
      const content = await files.get(from, options.signal, held)
      const flags = content.statusCode === 206 ? 'a' : 'w'
      const counter = counted(baseName(from), facts.size, options, copied, flags === 'a' ? held : 0)
      await pipeline(content, counter, createWriteStream(part, { mode: 0o600, flags }), { signal: options.signal })
    }
    if (options.resume && facts.size > 0 && (await localSize(part)) !== facts.size)
      throw new UsageError(`${files.target}:${from} changed while it was copied`, 255)
    const mode = Number.parseInt(facts.mode, 8) & 0o777
    await chmod(part, options.preserve ? mode : mode & ~process.umask())
    if (options.preserve) await utimes(part, new Date(), new Date(facts.mtime))
    await rename(part, to)
  } catch (error) {
    if (!options.resume) await rm(part, { force: true })
    throw error
  }
  copied.files++
}

/** Up: `from` here to `to` in the container. */
export async function upload(files: RemoteFiles, from: string, to: string, options: CopyOptions, copied: Copied): Promise<void> {
  const facts = await stat(from)
  const there = await files.stat(to)
  const path = there?.kind === 'directory' ? joined(to, baseName(from)) : to
  if (facts.isDirectory()) {
    if (!options.recursive) throw new UsageError(`${from} is a directory: add -r`)
    await uploadTree(files, from, path, options, copied)
  } else if (facts.isFile()) await uploadFile(files, from, path, options, copied)
  else throw new UsageError(`${from} is neither a file nor a directory`)
}

async function uploadTree(files: RemoteFiles, from: string, to: string, options: CopyOptions, copied: Copied): Promise<void> {
  await files.mkdir(to)
  for await (const entry of await opendir(from)) {
    options.signal.throwIfAborted()
    if (entry.isDirectory()) await uploadTree(files, joined(from, entry.name), joined(to, entry.name), options, copied)
    else if (entry.isFile()) await uploadFile(files, joined(from, entry.name), joined(to, entry.name), options, copied)
    else options.skipped(joined(from, entry.name), 'is no plain file')
  }
}

async function uploadFile(files: RemoteFiles, from: string, to: string, options: CopyOptions, copied: Copied): Promise<void> {
  const file = await open(from)
  try {
    const { size, mode } = await file.stat()
    if (options.resume && (await files.stat(to))?.size === size) {
      copied.kept++
      return
    }
    const content: Readable = createReadStream(from, { fd: file, autoClose: false, ...(size > 0 && { end: size - 1 }) })
    const counter = counted(baseName(from), size, options, copied)
    const sent = files.put(to, counter, { bytes: size, mode }, options.signal)
    // the gateway may refuse before it has read all: then its words count, and not the broken pipe
    const read = pipeline(content, counter, { signal: options.signal }).catch((error: unknown) => error)
    await sent.finally(() => counter.destroy())
    const failure = await read
    if (failure instanceof Error && !counter.readableEnded) throw failure
    copied.files++
  } finally {
    await file.close()
  }
}

function counted(name: string, total: number | undefined, options: CopyOptions, copied: Copied, held = 0): Transform {
  let bytes = held
  options.progress(name, 0, total)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      copied.bytes += chunk.length
      options.progress(name, bytes, total)
      done(null, chunk)
    },
  })
}

async function isLocalDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false // not there, or not to be seen: writing will say
}

async function localSize(path: string): Promise<number | undefined> {
  const facts = await stat(path).catch(() => undefined) // not there
  return facts?.isFile() ? facts.size : undefined
}
