/** The console as its users meet it: `opserver --demo` from dist/, Debian's chromium, and real ssh clients. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { hashPassword } from '../../../src/identity/password.js'
import { needs } from '../../support/need.js'
import { type Running, startProgram, stopProgram, until } from '../../support/world.js'

const CHROMIUM = '/usr/bin/chromium'
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
/** A browser beside seven other programs of a test run on two cores needs its time. */
const PATIENCE_MS = 30_000

/** For node:test's `skip`. */
export const missing: false | string = existsSync(CHROMIUM) ? needs.program('ssh') : 'chromium is not installed'

interface DemoUser {
  readonly name: string
  readonly password: string
  readonly keyFile: string
}
interface Demo {
  readonly ssh: string
  readonly http: string
  readonly users: readonly DemoUser[]
}

export class ConsoleWorld {
  readonly dir = mkdtempSync(join(tmpdir(), 'dockin-console-'))
  gateway!: Running
  browser!: Browser
  demo!: Demo
  /** What no page may do: asked of another host, said in the browser's console, asked in a dialog, thrown. */
  readonly faults: string[] = []
  readonly #shells: Shell[] = []

  /** @param rules in place of the demo's, for ann (admin, leads) and bob (dev) in the pod web-0 of a local cluster */
  async start(rules?: readonly object[]): Promise<this> {
    if (rules) await this.#startOwn(rules)
    else {
      this.gateway = await startProgram('src/main.js', ['--demo', '--data-dir', join(this.dir, 'data'), '--ssh-port', '0', '--http-port', '0'])
      this.demo = JSON.parse(readFileSync(join(this.dir, 'data/demo.json'), 'utf8')) as Demo
    }
    this.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
    return this
  }

  async #startOwn(rules: readonly object[]): Promise<void> {
    const people = [
      { name: 'ann', groups: ['leads'], roles: ['admin'] },
      { name: 'bob', groups: ['dev'], roles: ['user'] },
    ]
    const users = await Promise.all(
      people.map(async (person) => {
        const keyFile = join(this.dir, person.name)
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile])
        const password = await hashPassword(`secret of ${person.name}`)
        return { ...person, password, keys: [readFileSync(`${keyFile}.pub`, 'utf8').trim()] }
      }),
    )
    const file = join(this.dir, 'opserver.yaml')
    const config = {
      dataDir: join(this.dir, 'data'),
      ssh: { listen: '127.0.0.1:0', hostKeys: [join(this.dir, 'host_key')] },
      http: { listen: '127.0.0.1:0' },
      audit: { stores: [{ type: 'file' }], onFailure: 'refuse' },
      clusters: [{ name: 'own', local: { pods: ['web-0'] } }],
      users,
      rules,
    }
    writeFileSync(file, JSON.stringify(config))
    this.gateway = await startProgram('src/main.js', ['--config', file])
    const [, ssh, http] = /ssh=(\S+) http=(\S+)/.exec(this.gateway.ready) ?? []
    const known = people.map(({ name }) => ({ name, password: `secret of ${name}`, keyFile: join(this.dir, name) }))
    this.demo = { ssh: ssh ?? '', http: `http://${http}`, users: known }
  }

  user(name: string): DemoUser {
    const user = this.demo.users.find((each) => each.name === name)
    assert.ok(user, `no demo user ${name}`)
    return user
  }

  /** A page in a browser profile of its own, nobody logged in. */
  async page(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE_MS)
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(this.demo.http) && !url.startsWith('data:') && !url.startsWith('blob:')) this.faults.push(`asked for ${url}`)
    })
    page.on('console', (message) => {
      // the browser itself notes each answer of 4xx: those that the console asks for are its business
      if (message.type() === 'error' && !/the server responded with a status of 4\d\d/.test(message.text())) this.faults.push(message.text())
    })
    page.on('dialog', (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('pageerror', (error) => this.faults.push(`thrown: ${error.message}`))
    return page
  }

  /** Logs in by the form and waits for the page that `path` names. */
  async login(name: string, path = '/sessions', options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.page(options)
    await page.goto(this.demo.http + path)
    await fillLogin(page, name, this.user(name).password)
    // on a phone it is there, behind a button
    await page.locator('.side nav').waitFor({ state: 'attached' })
    return page
  }

  /** An interactive ssh session that has shown its prompt. */
  async shell(name: string, target: string): Promise<Shell> {
    const shell = new Shell(this.#spawn(name, target, undefined))
    this.#shells.push(shell)
    await shell.shows(/[#$] $/)
    return shell
  }

  async exec(name: string, target: string, command: string): Promise<void> {
    const child = this.#spawn(name, target, command)
    child.stdin?.end()
    child.stdout?.resume()
    child.stderr?.resume()
    await once(child, 'close')
  }

  #spawn(name: string, target: string, command: string | undefined): ChildProcess {
    const set = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentitiesOnly=yes']
    const port = this.demo.ssh.split(':').at(-1) ?? ''
    const options = ['-F', '/dev/null', '-i', this.user(name).keyFile, '-p', port, ...set.flatMap((option) => ['-o', option])]
    const args = [...(command === undefined ? ['-tt'] : []), ...options, '-l', `${name}+${target}`, '127.0.0.1', ...(command === undefined ? [] : [command])]
    return spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, TERM: 'xterm-256color' } })
  }

  async stop(): Promise<void> {
    for (const shell of this.#shells) shell.kill()
    await this.browser?.close()
    if (this.gateway) await stopProgram(this.gateway)
    rmSync(this.dir, { recursive: true, force: true })
  }
}

export async function fillLogin(page: Page, user: string, password: string): Promise<void> {
  await page.getByLabel('User').fill(user)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

/** An ssh client with a terminal, as a person has it. */
export class Shell {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #seen = ''

  constructor(child: ChildProcess) {
    this.#child = child
    this.#closed = once(child, 'close')
    child.stdin?.on('error', () => {}) // it may have ended
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.#seen += chunk.toString()))
  }

  get seen(): string {
    return this.#seen
  }

  type(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** Types a line and waits until `pattern` shows after it. */
  async run(line: string, pattern: RegExp): Promise<void> {
    const from = this.#seen.length
    this.type(`${line}\r`)
    await until(`${pattern} after ${line}`, () => pattern.test(this.#seen.slice(from)))
  }

  async shows(pattern: RegExp): Promise<void> {
    await until(`${pattern} in the terminal`, () => pattern.test(this.#seen), PATIENCE_MS)
  }

  async ended(): Promise<void> {
    await this.#closed
  }

  kill(): void {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL')
  }
}
