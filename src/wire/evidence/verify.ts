/** The verifier: a copied data directory or an unpacked evidence pack, read offline, judged by a public key that was kept elsewhere. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { OpsError } from '../../core/errors.js'
import { keyIdOf, parseSignedHead, type SignedHead } from './checkpoint.js'
import { logParts } from './log-files.js'
import type { EvidenceProblem, EvidenceReport } from './report.js'
import { verifyLog } from './verify-log.js'
import { RecordingsCheck } from './verify-recordings.js'

export interface VerifyEvidenceOptions {
  /** Public key: PEM text, or the path of a PEM file. Without it the one in the directory is used, which proves only that all fits together. */
  readonly key?: string
  /** Path of a signed head that was kept elsewhere (the anchor): a log cut back behind it shows. */
  readonly anchor?: string
}

/** Of an unpacked evidence pack: which session it is about. */
export interface PackFacts {
  readonly version: 1
  readonly session: string
}

/** Where the pieces are in a data directory, a copied audit folder, or a pack. */
interface Layout {
  readonly logDir: string
  readonly files: readonly string[]
  readonly pack?: PackFacts
}

const MAX_PROBLEMS = 100

/**
 * Verifies chain, checkpoints, tombstones and recordings below `dir`. Reads only.
 * @returns what is proven; `problems[0]` names the first event or recording that is not what it was
 * @throws OpsError NOT_FOUND when there is no log; BAD_REQUEST when the key or the anchor cannot be read
 */
export async function verifyEvidence(dir: string, options: VerifyEvidenceOptions = {}): Promise<EvidenceReport> {
  const layout = await layoutOf(dir)
  const key = await publicKeyOf(dir, options.key)
  const recordings = new RecordingsCheck()
  const log = await verifyLog({
    dir: layout.logDir,
    files: layout.files,
    publicKey: key?.publicKey,
    anchors: await anchorsOf(dir, options.anchor),
    isPart: layout.pack !== undefined,
    onEvent: (event) => recordings.note(event),
  })
  const { chain, tombstones } = log
  // behind a fault in the chain nothing is known of what should be there
  const only = layout.pack ? new Set([layout.pack.session]) : undefined
  const isPartial = layout.pack !== undefined || tombstones.length > 0
  const tapes = chain.ok ? await recordings.look(dir, only, isPartial ? log.times.from : undefined) : undefined
  const problems: EvidenceProblem[] = [...log.problems, ...(tapes?.problems ?? [])]
  const signedThrough = chain.ok && key ? chain.lastCheckpoint : 0
  const unsigned = chain.ok ? chain.last.seq - signedThrough : 0
  const notes = [...log.notes, ...(tapes?.notes ?? [])]
  if (key?.isOwn) notes.push('the public key came from the directory itself: pass the one that was kept elsewhere')
  if (chain.ok && key && unsigned > 0) notes.push(`the last ${unsigned} events are chained, and not signed yet`)
  if (problems.length > MAX_PROBLEMS) notes.push(`${problems.length - MAX_PROBLEMS} further problems are not listed`)
  if (!chain.ok) notes.push('recordings were not looked at: the log that holds their hashes is not whole')
  return {
    ok: problems.length === 0,
    problems: problems.slice(0, MAX_PROBLEMS),
    notes,
    ...(chain.ok && chain.count > 0 && { range: { first: chain.first, last: chain.last.seq, count: chain.count, ...log.times, head: chain.last.hash } }),
    checkpoints: chain.ok ? chain.checkpoints : 0,
    signedThrough,
    removed: tombstones.length > 0 && log.begins > 1 ? log.begins - 1 : 0,
    recordings: { verified: tapes?.verified ?? 0, elsewhere: tapes?.elsewhere ?? 0, removed: tapes?.removed ?? 0 },
    ...(key && { key: { id: keyIdOf(key.publicKey), source: key.source } }),
  }
}

async function layoutOf(dir: string): Promise<Layout> {
  if (await isFile(join(dir, 'events.ndjson'))) return { logDir: dir, files: ['events.ndjson'], pack: await packFacts(dir) }
  for (const logDir of [join(dir, 'audit'), dir]) {
    const parts = await logParts(logDir)
    if (parts.length > 0) return { logDir, files: parts.map(({ name }) => name) }
  }
  throw new OpsError('NOT_FOUND', `Cannot verify "${dir}": there is no audit log in it`, {
    detail: 'there is no audit log (audit/YYYY-MM-DD.ndjson or events.ndjson)',
  })
}

async function packFacts(dir: string): Promise<PackFacts> {
  try {
    const value = JSON.parse(await readFile(join(dir, 'pack.json'), 'utf8')) as Partial<PackFacts>
    if (value.version === 1 && typeof value.session === 'string') return { version: 1, session: value.session }
    throw new Error('it names no session')
  } catch (error) {
    throw new OpsError('BAD_REQUEST', `Cannot read "pack.json": ${(error as Error).message}`, { cause: error, detail: 'pack.json cannot be read' })
  }
}

async function publicKeyOf(dir: string, given: string | undefined): Promise<{ publicKey: KeyObject; source: string; isOwn: boolean } | undefined> {
  if (given !== undefined) {
    const isText = given.includes('-----BEGIN')
    return {
      publicKey: await parsePublicKey(isText ? given : await readFile(given, 'utf8').catch(unreadableKey), given),
      source: isText ? 'given' : given,
      isOwn: false,
    }
  }
  for (const name of ['state/checkpoint_ed25519.pub', 'public-key.pem']) {
    const path = join(dir, name)
    if (await isFile(path)) return { publicKey: await parsePublicKey(await readFile(path, 'utf8'), path), source: name, isOwn: true }
  }
  return undefined
}

async function parsePublicKey(pem: string, from: string): Promise<KeyObject> {
  try {
    if (pem.includes('PRIVATE KEY')) throw new Error('it is a private key, which must not leave the gateway')
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is not an Ed25519 key')
    return key
  } catch (error) {
    return unreadableKey(error as Error, from)
  }
}

function unreadableKey(error: Error, from = ''): never {
  throw new OpsError('BAD_REQUEST', `Cannot read public key "${from}": ${error.message}`, {
    cause: error,
    detail: `the public key cannot be read: ${error.message}`,
  })
}

async function anchorsOf(dir: string, given: string | undefined): Promise<{ name: string; head: SignedHead }[]> {
  const anchors: { name: string; head: SignedHead }[] = []
  for (const [path, name] of [[join(dir, 'state', 'head.json'), 'state/head.json'], ...(given === undefined ? [] : [[given, given]])] as const) {
    if (path !== given && !(await isFile(path as string))) continue
    const head = parseSignedHead(await readFile(path as string, 'utf8').catch((error: Error) => unreadableAnchor(name as string, error)))
    anchors.push({ name: name as string, head: head ?? unreadableAnchor(name as string, new Error('it is no signed head')) })
  }
  return anchors
}

function unreadableAnchor(name: string, error: Error): never {
  throw new OpsError('BAD_REQUEST', `Cannot read anchor "${name}": ${error.message}`, { cause: error, detail: `the anchor "${name}" cannot be read` })
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return false
    throw error
  }
}
