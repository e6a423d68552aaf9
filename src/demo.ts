/** `opserver --demo`: the embedded default. Users with fresh passwords and keys, three pods that are shells here. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DEMO_CLUSTER, DEMO_PODS, DEMO_USERS, type DemoCredentials, demoConfig } from './config/demo.js'
import type { Config } from './config/values.js'
import { hashPassword } from './identity/password.js'
import { loadHostKeys } from './ssh/host-keys.js'

export interface Demo {
  readonly config: Config
  /** Writes DATA/demo.json and answers the lines to print, once the ports are known. */
  announce(ssh: Address, http: Address): Promise<string>
}
interface Address {
  readonly host: string
  readonly port: number
}
interface Secrets {
  readonly password: string
  readonly keyFile: string
  readonly publicKey: string
}

/** @param folder kept between runs: keys and passwords stay the same, so that a copied command works tomorrow */
export async function prepareDemo(folder: string, sshPort: number, httpPort: number): Promise<Demo> {
  // the commands that are printed are pasted into other terminals, in other folders
  const dataDir = resolve(folder)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const secrets = new Map<string, Secrets>()
  const credentials: Record<string, DemoCredentials> = {}
  for (const { name } of DEMO_USERS) {
    const own = await secretsOf(join(dataDir, 'demo-keys'), name)
    secrets.set(name, own)
    credentials[name] = { password: await hashPassword(own.password), keys: [own.publicKey] }
  }
  const config = demoConfig({ dataDir, sshPort, httpPort, credentials })
  return { config, announce: (ssh, http) => announce(dataDir, secrets, ssh, http) }
}

async function secretsOf(dir: string, name: string): Promise<Secrets> {
  const keyFile = join(dir, name)
  const passwordFile = join(dir, `${name}.password`)
  if (!(await exists(passwordFile))) {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writePrivately(passwordFile, `${randomBytes(9).toString('base64url')}\n`)
  }
  // a host key file is an OpenSSH private key like any other, and its loader makes one that is absent
  const [key] = await loadHostKeys([keyFile])
  const password = await readFile(passwordFile, 'utf8')
  return { password: password.trim(), publicKey: key?.publicKey ?? '', keyFile }
}

/** Whole or not at all: a reader never meets half a file. */
async function writePrivately(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

async function announce(dataDir: string, secrets: ReadonlyMap<string, Secrets>, ssh: Address, http: Address): Promise<string> {
  const knownHosts = join(dataDir, 'demo-keys', 'known_hosts')
  const users = DEMO_USERS.map(({ name, role, about }) => {
    const { password, keyFile } = secrets.get(name) as Secrets
    const target = name === 'audra' ? '' : `+${DEMO_PODS[0]}`
    const options = `-o UserKnownHostsFile=${quoted(knownHosts)} -o StrictHostKeyChecking=accept-new -o IdentitiesOnly=yes -i ${quoted(keyFile)}`
    return { name, password, keyFile, role, about, command: `ssh ${options} -p ${ssh.port} ${name}${target}@${ssh.host}` }
  })
  const targets = DEMO_PODS.map((pod) => `${DEMO_CLUSTER}/default/${pod}/shell`)
  const facts = { ssh: `${ssh.host}:${ssh.port}`, http: `http://${http.host}:${http.port}`, users, targets }
  await writePrivately(join(dataDir, 'demo.json'), `${JSON.stringify(facts, null, 2)}\n`)
  const lines = users
    .filter(({ name }) => name !== 'audra')
    .map(({ name, about, password, command }) => `${name} ${about} (password ${password})\n\n    ${command}\n`)
  return `\nThree pods stand ready: ${DEMO_PODS.join(', ')}. Copy a line:\n\n${lines.join('\n')}\nWithout "+${DEMO_PODS[0]}" you pick a pod from a list. The pods are shells of this machine with your own rights.\nThe review console is at ${facts.http}/ (log in as alice).\nCtrl-C here stops all of it.\n`
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
