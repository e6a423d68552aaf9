/**
 * The command corpus, where it stands beside the checkout: a real client types each case into a guarded shell of a real pod.
 * cases.json holds cases of our own in the same form: what people who tried found, each seen to do its harm in an unguarded shell.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { kubeconfigOf, needs } from '../support/need.js'
import { repository, run, World } from '../support/world.js'

const corpus = join(repository, '../shared/corpus')
const SHELLS = ['bash', 'dash', 'ash', 'zsh'] as const
const PODS = 'bash=shop/web-0/web,dash=shop/web-0/web,ash=default/tiny-0/tiny'

const OWN = join(repository, 'test/e2e/cases.json')

async function runCases(cases: string): Promise<void> {
  const world = new World()
  const policies = JSON.parse(execFileSync('python3', [join(corpus, 'run.py'), cases, '--policies'], { encoding: 'utf8' })) as object[]
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(world.dir, 'corpus')])
  const key = readFileSync(join(world.dir, 'corpus.pub'), 'utf8').trim()
  const people = policies.flatMap((policy, index) => SHELLS.filter((shell) => shell !== 'zsh').map((shell) => ({ name: `p${index}-${shell}`, shell, policy })))
  try {
    await world.start({
      clusters: ['a'],
      via: process.env.CORPUS_VIA === 'apiserver' ? 'apiserver' : 'agent',
      users: people.map(({ name }) => ({ name, keys: [key] })),
      rules: people.map(({ name, shell, policy }) => ({
        name: `rule-${name}`,
        who: { users: [name] },
        where: [{ cluster: '*', namespace: '*' }],
        commands: { ...policy, shell: [shell] },
      })),
      config: { ssh: { listen: '127.0.0.1:0', hostKeys: [join(world.dir, 'host_ed25519')], maxConnectionsPerAddress: 200 } },
    })
    const target = join(world.dir, 'ssh-corpus')
    // run.py names the user only; the pod of each shell stands in this wrapper
    const script = `#!/bin/sh\ncase "$1" in *-ash) t=tiny-0.default.a;; *) t=web-0.shop.a+web;; esac\nexec ssh -tt ${world
      .options({ keyFile: join(world.dir, 'corpus') })
      .map((o) => `'${o}'`)
      .join(' ')} -p ${world.sshPort} -l "$1+$t" 127.0.0.1\n`
    const { writeFileSync } = await import('node:fs')
    writeFileSync(target, script, { mode: 0o755 })
    const out = join(world.dir, 'result.json')
    const args = [
      join(corpus, 'run.py'),
      cases,
      '--kubeconfig',
      kubeconfigOf('a'),
      '--pods',
      PODS,
      '--ssh',
      `${target} {user}`,
      '--audit',
      join(world.dataDir, 'audit'),
      '--conc',
      process.env.CORPUS_CONC ?? '6',
      '--out',
      out,
    ]
    const only = process.env.CORPUS_ONLY
    const { code, stderr } = await run('python3', [...args, ...(only ? ['--only', only] : [])])
    assert.equal(code, 0, stderr)
    const { counts, bad } = JSON.parse(readFileSync(out, 'utf8')) as { counts: Record<string, number>; bad: unknown[] }
    console.log(JSON.stringify(counts))
    for (const each of bad) console.log(JSON.stringify(each).slice(0, 400))
    assert.ok((counts.deny ?? 0) + (counts.allow ?? 0) > 0)
    assert.equal(counts.not_started ?? 0, 0)
    assert.ok((counts.bypass ?? 0) <= (counts.deny ?? 0) / 100, `${counts.bypass} evasions did their harm`)
    assert.equal(counts.mangled ?? 0, 0)
    assert.ok((counts.log_wrong ?? 0) <= (counts.log_checked ?? 0) / 50, `${counts.log_wrong} of ${counts.log_checked} logs are wrong`)
  } finally {
    await world.stop()
  }
}

describe('the command corpus on real pods', { skip: !existsSync(corpus) ? 'the corpus is not beside this checkout' : needs.cluster('a') }, () => {
  test('no evasion does its harm, nothing benign is blocked or mangled, and the log has the lines', { timeout: 1_800_000 }, () =>
    runCases(join(corpus, 'commands.json')),
  )
  test('the same holds for cases of our own', { timeout: 1_800_000 }, () => runCases(OWN))
})
