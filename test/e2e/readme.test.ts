/** README.md, replayed: the commands of "A gateway of your own" and of the tour are read out of the page and run. */
import assert from 'node:assert/strict'
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { needs } from '../support/need.js'
import { redisServer } from '../support/redis-server.js'
import { cheapHash, PASSWORD, SharedGateway } from '../support/shared-gateways.js'
import { tempDir } from '../support/temp-dir.js'
import { repository, run, startProgram, stopProgram, until, World } from '../support/world.js'

const README = readFileSync(join(repository, 'README.md'), 'utf8')

interface Step {
  readonly command: string
  /** Lines as the page shows them; "…" is any text, a line of it alone any lines. */
  readonly shown: readonly string[]
}

function tour(): readonly Step[] {
  const block = /<!-- tour -->\n```console\n([\s\S]*?)```\n<!-- \/tour -->/.exec(README)?.[1] ?? ''
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((text) => {
      const [command = '', ...shown] = text.trimEnd().split('\n')
      return { command, shown }
    })
}

function pattern(lines: readonly string[]): RegExp {
  const text = lines.map((line) =>
    line === '…'
      ? '(?:.*\n)*?'
      : `${line
          .split('…')
          .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*')}\n`,
  )
  return new RegExp(`^${text.join('')}$`)
}

test('the commands that set a gateway up do what the README says of them', { timeout: 240_000 }, async (t) => {
  const block = /## A gateway of your own\n\n```sh\n([\s\S]*?)```/.exec(README)?.[1] ?? ''
  const commands = block
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, ''))
  assert.equal(commands.length, 6)
  const dir = await tempDir(t)
  symlinkSync(join(repository, 'dist'), join(dir, 'dist'))
  cpSync(join(repository, 'config'), join(dir, 'config'), { recursive: true })
  mkdirSync(join(dir, 'keys'))
  // the ports of the page may be taken here
  for (const name of ['opserver.yaml', 'opagent.yaml']) {
    const file = join(dir, 'config', name)
    writeFileSync(file, readFileSync(file, 'utf8').replace(/^( *listen: 127\.0\.0\.1):\d+/gm, '$1:0'))
  }
  const scripts = (JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts
  for (const command of commands) {
    const [program, script = '', ...args] = command.split(' ')
    if (program === 'npm') assert.ok(scripts[args[0] ?? ''], command)
    else if (args[0] === '--config') {
      if (script.includes('agent') && needs.docker('a')) continue
      const running = await startProgram(script.replace(/^dist\//, ''), [args[0], join(dir, args[1] ?? '')])
      assert.match(running.ready, /^op(server|agent) ready /, command)
      await stopProgram(running)
    } else {
      const ran = await run('bash', ['-c', `cd ${dir} && ${command}`], 'a long password\n')
      assert.equal(ran.code, 0, `${command}: ${ran.stderr}`)
    }
  }
})

const skip = ['ssh', 'scp', 'redis-server'].map(needs.program).find(Boolean) || needs.cluster('a') || needs.cluster('b')

test('the tour of the README, with Redis, two clusters, two agents, a resource manager and a gateway', { skip, timeout: 400_000 }, async (t) => {
  const redis = await redisServer(t)
  const world = new World()
  t.after(() => world.stop())
  await world.start()
  await stopProgram(world.gateway)
  const { dataDir: _dataDir, ssh: _ssh, http: _http, ...shared } = JSON.parse(readFileSync(world.configFile, 'utf8')) as Record<string, unknown>
  const key = readFileSync(`${world.keyFile}.pub`, 'utf8').trim()
  const password = await cheapHash()
  const users = [
    { name: 'alice', groups: ['sre'], roles: ['admin'], keys: [key], password },
    { name: 'bob', groups: ['dev'], keys: [key] },
  ]
  const rules = [
    { name: 'sre-everything', who: { groups: ['sre'] }, where: [{ cluster: '*', namespace: '*' }] },
    { name: 'dev-careful', who: { groups: ['dev'] }, where: [{ cluster: 'a', namespace: 'shop' }], commands: { deny: ['rm'] }, message: 'ask alice' },
  ]
  // another gateway is the resource manager of this one
  const manager = await (await SharedGateway.prepare(t, { ...shared, users, rules })).start()
  const tokenFile = join(world.dir, 'rm-token')
  writeFileSync(tokenFile, await manager.login('alice'), { mode: 0o600 })
  const gateway = await SharedGateway.prepare(t, {
    ...shared,
    users: { redis: redis.url, seed: users },
    rules: { redis: redis.url, seed: rules },
    podCache: { url: redis.url },
    audit: { stores: [{ type: 'file' }, { type: 'redis', url: redis.url }], onFailure: 'refuse' },
    resourceManager: { url: `${manager.url}/rmController`, tokenFile },
  })
  await gateway.start()

  const bin = join(gateway.dir, 'bin')
  mkdirSync(bin)
  const script = (name: string, line: string): void => {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line} "$@"\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const sshConfig = join(gateway.dir, 'ssh_config')
  writeFileSync(
    sshConfig,
    `Host bastion\n  HostName 127.0.0.1\n  Port ${gateway.sshPort}\n  IdentityFile ${world.keyFile}\n  IdentitiesOnly yes\n  BatchMode yes\n  LogLevel ERROR\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n`,
  )
  for (const name of ['ssh', 'scp']) script(name, `/usr/bin/${name} -F ${sshConfig}`)
  for (const name of ['opsctl', 'dockctl']) script(name, `${process.execPath} ${join(repository, 'dist/src/cli', `${name}.js`)}`)
  writeFileSync(join(gateway.dir, 'password.txt'), `${PASSWORD}\n`)
  const env = { PATH: `${bin}:${process.env.PATH}`, HOME: gateway.dir, LANG: 'C.UTF-8' }
  const port = new URL(gateway.url).port
  await until('the pods', async () => (await gateway.ask('GET', '/api/v1/targets', 'alice')).text.includes('core-0'))

  const steps = tour()
  assert.ok(steps.length > 15)
  for (const { command, shown } of steps) {
    await t.test(command, async () => {
      // the port of the page is taken by whatever runs here
      const here = command.replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
      const ran = await run('bash', ['-c', `cd ${gateway.dir}; { ${here}\n} 2>&1`], undefined, env)
      assert.match(ran.stdout.toString().replaceAll(`127.0.0.1:${port}`, '127.0.0.1:8080'), pattern(shown))
      if (!/echo "exit/.test(command)) assert.equal(ran.code, 0)
    })
  }
  const held = Number(await redis.command('XLEN', 'dockin:audit'))
  assert.ok(held >= 30, `${held} events in Redis`)
})
