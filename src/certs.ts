/** `opserver certs`: a CA, and certificates for mutual TLS between the gateway and its agents. X.509 v3 as in RFC 5280. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto'
import { lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isIP, isIPv4 } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { OpsError, toOpsError } from './core/errors.js'
import { bitString, boolean, elements, explicit, implicit, integer, namedBits, octetString, oid, sequence, setOf, time, utf8String } from './wire/der.js'

/** The gateway's common name and file name; what agents name in `auth.gateways`. */
const GATEWAY = 'opserver'
const CA = 'ca'
const DAY_MS = 86_400_000
const CA_DAYS = 3650
const LEAF_DAYS = 730
/** Clocks of gateway and nodes may differ by this much while a certificate is new. */
const BACKDATED_MS = 5 * 60_000
/** ub-common-name, RFC 5280 appendix A.1. */
const MAX_NAME_LENGTH = 64
/** A DNS name as Kubernetes writes names of nodes (RFC 1123 s2.1, lower case): nothing that a path or a certificate reads otherwise. */
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/

const ID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2', // RFC 5758 s3.2
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const
/** Bits of KeyUsage, RFC 5280 s4.2.1.3. */
const USAGE = { digitalSignature: 0, certSign: 5, crlSign: 6 } as const
/** Extensions of a tbsCertificate are `[3] EXPLICIT`, RFC 5280 s4.1. */
const EXTENSIONS_TAG = 0xa3

export interface CertificateOptions {
  /** Names of agents, as their nodes are called. */
  readonly agents: readonly string[]
  /** How long the certificates of gateway and agents are valid: 1 to 3650, default 730. None outlives its CA. */
  readonly days?: number
  /** Agent (or `opserver`) to more DNS names and IP addresses that it answers at. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>
  /** Default: the wall clock. */
  readonly now?: Date
}

interface Issuer {
  /** DER of the CA's Name. */
  readonly name: Buffer
  readonly keyId: Buffer
  readonly key: KeyObject
  readonly notAfter: Date
}
interface Pair {
  /** PEM. */
  readonly certificate: string
  /** PKCS#8 PEM. */
  readonly key: string
}
interface Contents {
  readonly issuer: Issuer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly Buffer[]
}

/**
 * Writes a CA (ca.crt, ca.key), the gateway's certificate (opserver.crt, .key) and one for each agent (NAME.crt, .key) into
 * `dir`, all 0600; `dir` is created 0700. A CA that is there already is used, and then only what is missing is made.
 * Nothing is ever overwritten, and when one file cannot be written, none of this call stays.
 * Only the gateway may be a TLS client: an agent's key opens no other agent.
 * @returns the paths written, in that order
 * @throws OpsError CONFIG_INVALID naming the file or the name: bad name, file exists, half a pair, a CA that cannot be used
 */
export async function makeCertificates(dir: string, options: CertificateOptions): Promise<readonly string[]> {
  const { days = LEAF_DAYS, hosts = {}, now = new Date() } = options
  const agents = [...new Set(options.agents)]
  checkOptions(agents, days, hosts)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const missing = await missingPairs(dir, agents, hosts)
    const pairs = new Map<string, Pair>()
    let issuer: Issuer
    if (missing.includes(CA)) {
      const made = await makeCa(now)
      pairs.set(CA, made.pair)
      issuer = made.issuer
    } else issuer = await readCa(dir, now)
    for (const name of missing) if (name !== CA) pairs.set(name, await makeLeaf(issuer, name, hosts[name] ?? [], days, now))
    return await writePairs(dir, pairs)
  } catch (error) {
    throw toOpsError(error, 'CONFIG_INVALID')
  }
}

function refuse(message: string): never {
  throw new OpsError('CONFIG_INVALID', `Cannot make certificates: ${message}`)
}

function checkOptions(agents: readonly string[], days: number, hosts: Readonly<Record<string, readonly string[]>>): void {
  for (const name of agents) {
    if (!DNS_NAME.test(name)) refuse(`"${name}" is not a node name (lower-case letters, digits, - and .)`)
    if (name.length > MAX_NAME_LENGTH) refuse(`"${name}" is longer than the ${MAX_NAME_LENGTH} characters of a common name`)
    if (name === CA || name === GATEWAY) refuse(`an agent cannot be called "${name}": those files are not an agent's`)
  }
  if (!Number.isInteger(days) || days < 1 || days > CA_DAYS) refuse(`${days} days: write a whole number from 1 to ${CA_DAYS}`)
  for (const [name, more] of Object.entries(hosts)) {
    if (name !== GATEWAY && !agents.includes(name)) refuse(`hosts are given for "${name}", which is not among the agents`)
    // A zone (fe80::1%eth0) means something on one machine only and has no place in iPAddress.
    for (const host of more) if (!DNS_NAME.test(host) && (isIP(host) === 0 || host.includes('%'))) refuse(`"${host}" of "${name}" is no DNS name or IP address`)
  }
}

/** What to make; refuses whatever would overwrite a file, or complete half a pair. */
async function missingPairs(dir: string, agents: readonly string[], hosts: CertificateOptions['hosts']): Promise<readonly string[]> {
  const found = new Map<string, readonly string[]>()
  for (const name of [CA, GATEWAY, ...agents]) found.set(name, await existing(filesOf(dir, name)))
  const hasCa = found.get(CA)?.length === 2
  const kept = hasCa && hosts?.[GATEWAY] === undefined ? [CA, GATEWAY] : hasCa ? [CA] : []
  const isKept = (name: string): boolean => kept.includes(name) && found.get(name)?.length === 2
  const inTheWay = [...found].filter(([name]) => !isKept(name)).flatMap(([, files]) => files)
  if (inTheWay.length > 0) refuse(`${inTheWay.map((file) => `"${file}"`).join(', ')} would be overwritten, or lacks its other half`)
  return [...found.keys()].filter((name) => !isKept(name))
}

function filesOf(dir: string, name: string): readonly [certificate: string, key: string] {
  return [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
}

async function existing(files: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const file of files) {
    // lstat: a link that leads nowhere is in the way too.
    const stats = await lstat(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    if (stats) found.push(file)
  }
  return found
}

async function writePairs(dir: string, pairs: ReadonlyMap<string, Pair>): Promise<readonly string[]> {
  const written: string[] = []
  const write = async (file: string, text: string): Promise<void> => {
    await writeFile(file, text, { flag: 'wx', mode: 0o600, flush: true }).catch(async (error: NodeJS.ErrnoException) => {
      // With EEXIST the file is someone else's; else it may be a part of ours (disk full).
      if (error.code !== 'EEXIST') await rm(file, { force: true })
      throw error
    })
    written.push(file)
  }
  try {
    for (const [name, { certificate, key }] of pairs) {
      const [certificateFile, keyFile] = filesOf(dir, name)
      await write(certificateFile, certificate)
      await write(keyFile, key)
    }
    return written
  } catch (error) {
    for (const file of written) await rm(file, { force: true })
    throw error
  }
}

async function makeKeys(): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return promisify(generateKeyPair)('ec', { namedCurve: 'prime256v1' })
}

async function makeCa(now: Date): Promise<{ pair: Pair; issuer: Issuer }> {
  const { publicKey, privateKey } = await makeKeys()
  const keyId = keyIdOf(publicKey)
  // Names differ between CAs, so that old and new can be told apart while both are trusted.
  const name = nameOf(`Dockin Ops CA ${keyId.toString('hex', 0, 4)}`)
  const issuer = { name, keyId, key: privateKey, notAfter: new Date(now.getTime() + CA_DAYS * DAY_MS) }
  const extensions = [
    extension(ID.basicConstraints, sequence(boolean(true), integer(0)), true),
    extension(ID.keyUsage, namedBits(USAGE.certSign, USAGE.crlSign), true),
  ]
  const notBefore = new Date(now.getTime() - BACKDATED_MS)
  return { issuer, pair: pairOf(certificateOf({ issuer, subject: name, publicKey, notBefore, notAfter: issuer.notAfter, extensions }), privateKey) }
}

async function makeLeaf(issuer: Issuer, name: string, hosts: readonly string[], days: number, now: Date): Promise<Pair> {
  const { publicKey, privateKey } = await makeKeys()
  const notBefore = new Date(now.getTime() - BACKDATED_MS)
  const notAfter = new Date(Math.min(now.getTime() + days * DAY_MS, issuer.notAfter.getTime()))
  const alternatives = [...new Set([name, 'localhost', '127.0.0.1', '::1', ...hosts])]
  const purposes = name === GATEWAY ? [ID.clientAuth, ID.serverAuth] : [ID.serverAuth]
  const extensions = [
    extension(ID.basicConstraints, sequence(), true),
    extension(ID.keyUsage, namedBits(USAGE.digitalSignature), true),
    extension(ID.extendedKeyUsage, sequence(...purposes.map(oid))),
    extension(ID.subjectAltName, sequence(...alternatives.map(generalName))),
  ]
  return pairOf(certificateOf({ issuer, subject: nameOf(name), publicKey, notBefore, notAfter, extensions }), privateKey)
}

/** The CA of an earlier run, or one made elsewhere with an EC key. ca.crt may hold several: the one of ca.key signs. */
async function readCa(dir: string, now: Date): Promise<Issuer> {
  const [certificateFile, keyFile] = filesOf(dir, CA)
  const key = await readParsed(keyFile, createPrivateKey)
  const certificates = await readParsed(certificateFile, (text) =>
    (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map((pem) => new X509Certificate(pem)),
  )
  const certificate = certificates.find((one) => one.checkPrivateKey(key))
  if (!certificate) refuse(`"${keyFile}" is not the key of "${certificateFile}"`)
  if (key.asymmetricKeyType !== 'ec') refuse(`"${keyFile}" is no EC key`)
  if (!certificate.ca) refuse(`"${certificateFile}" is not the certificate of a CA`)
  const notAfter = new Date(certificate.validTo)
  if (notAfter <= now) refuse(`"${certificateFile}" expired on ${notAfter.toISOString()}`)
  return { ...subjectOf(certificate), key, notAfter }
}

async function readParsed<T>(file: string, parse: (text: string) => T): Promise<T> {
  const text = await readFile(file, 'utf8')
  try {
    return parse(text)
  } catch (error) {
    throw new OpsError('CONFIG_INVALID', `Cannot read "${file}": ${toOpsError(error).message}`, { cause: error })
  }
}

/** Name and key identifier exactly as the CA's own certificate has them: both are compared byte by byte (RFC 5280 s6.1.3, s4.2.1.1). */
function subjectOf(certificate: X509Certificate): Pick<Issuer, 'name' | 'keyId'> {
  const [tbs] = elements(elements(certificate.raw)[0]?.content ?? certificate.raw)
  // version (absent in v1), serialNumber, signature, issuer, validity, subject, ...: RFC 5280 s4.1. Only v3 can say that it is a CA.
  const fields = elements(tbs?.content ?? Buffer.of())
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS_TAG)?.content ?? Buffer.of()
  const ours = oid(ID.subjectKeyIdentifier)
  const found = elements(elements(extensions)[0]?.content ?? Buffer.of())
    .map(({ content }) => elements(content))
    .find(([id]) => id?.bytes.equals(ours))
  const keyId = elements(found?.at(-1)?.content ?? Buffer.of())[0]?.content ?? keyIdOf(certificate.publicKey)
  const name = fields[5]?.bytes
  if (!name) refuse('the certificate of the CA has no subject')
  return { name, keyId }
}

/** A signed Certificate in DER, RFC 5280 s4.1. */
function certificateOf({ issuer, subject, publicKey, notBefore, notAfter, extensions }: Contents): Buffer {
  const algorithm = sequence(oid(ID.ecdsaWithSha256))
  const identifiers = [
    extension(ID.subjectKeyIdentifier, octetString(keyIdOf(publicKey))),
    extension(ID.authorityKeyIdentifier, sequence(implicit(0, issuer.keyId))),
  ]
  const tbs = sequence(
    explicit(0, integer(2)), // v3
    integer(BigInt(`0x${randomBytes(16).toString('hex')}`)),
    algorithm,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, sequence(...extensions, ...identifiers)),
  )
  return sequence(tbs, algorithm, bitString(sign('sha256', tbs, issuer.key)))
}

function nameOf(commonName: string): Buffer {
  return sequence(setOf(sequence(oid(ID.commonName), utf8String(commonName))))
}

/** `critical` is DEFAULT FALSE, which DER leaves out (X.690 s11.5). */
function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [boolean(true)] : []), octetString(value))
}

/** SHA-1 of the key's bits: method 1 of RFC 5280 s4.2.1.2, a name and no protection. */
function keyIdOf(publicKey: KeyObject): Buffer {
  const [info] = elements(publicKey.export({ type: 'spki', format: 'der' }))
  const bits = elements(info?.content ?? Buffer.of())[1]?.content ?? Buffer.of()
  return createHash('sha1').update(bits.subarray(1)).digest()
}

/** dNSName [2] or iPAddress [7], RFC 5280 s4.2.1.6. */
function generalName(host: string): Buffer {
  return isIP(host) === 0 ? implicit(2, Buffer.from(host, 'latin1')) : implicit(7, addressBytes(host))
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  // URL writes an IPv4 tail as hex groups, so that only "::" is left to fill.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const last = groups(tail ?? '')
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - last.length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...last]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function pairOf(certificate: Buffer, key: KeyObject): Pair {
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? []
  const pem = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  // A pair that does not belong together must never reach a file.
  if (!createPublicKey(key).equals(new X509Certificate(pem).publicKey)) refuse('the key of a new certificate is not its own')
  return { certificate: pem, key: key.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
