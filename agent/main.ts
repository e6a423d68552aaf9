#!/usr/bin/env node
/** The opagent program: holds the node's docker socket, speaks to the gateway only. */
import { setFlagsFromString } from 'node:v8'
import { Command } from 'commander'
import { toOpsError } from '../src/core/errors.js'
import { createLogger, type Logger } from '../src/core/log.js'
import { type AgentConfig, loadAgentConfig } from './config.js'
import { DockerRuntime } from './docker.js'
import { DockerObserver } from './docker-observer.js'
import type { AgentListen } from './listener.js'
import { type RunningAgent, startAgent } from './server.js'

// The heap here is small and what passes through it are buffers of 64 KiB: V8 would begin to mark the whole of it every
// 10 MB of output, which took half of the agent's time (1.5 s of CPU for 300 MB, 0.7 s without). A full collection still
// comes when the heap is at its limit, at once instead of in steps, in about 10 ms.
setFlagsFromString('--no-incremental-marking')

const program = new Command('opagent')
  .description('Starts programs in the containers of this node for the gateway (opserver), and answers to nobody else.')
  .requiredOption('--config <file>', 'YAML file; config/opagent.yaml is an example')
  .action(async ({ config }: { config: string }) => {
    try {
      await run(await loadAgentConfig(config))
    } catch (error) {
      const { message, code } = toOpsError(error)
      process.stderr.write(code === 'CONFIG_INVALID' ? `opagent: the configuration has mistakes\n${message}\n` : `opagent: ${message}\n`)
      process.exitCode = 1
    }
  })

await program.parseAsync()

async function run(config: AgentConfig): Promise<void> {
  const log = createLogger(config.logLevel).child({ node: config.node })
  const runtime = new DockerRuntime({ docker: config.docker, starts: config.starts, log })
  const observer = new DockerObserver(config.docker)
  const { listen, auth, maxExecs } = config
  const agent = await startAgent({ listen, runtime, observer, log, maxExecs, ...(auth ? { auth } : {}) }).catch(async (error: unknown) => {
    await runtime.close()
    throw error
  })
  log.info({ address: agent.address, docker: config.docker, gateways: auth?.gateways ?? [] }, 'agent.start')
  process.stdout.write(`opagent ready http=${addressText(agent.address)}\n`)
  await untilStopped(agent, config.drainTimeoutMs, log)
  await agent.close()
  await runtime.close()
  observer.close()
  log.info({}, 'agent.stop')
}

/** The first SIGTERM or SIGINT lets running programs finish; the second does not. */
async function untilStopped(agent: RunningAgent, drainTimeoutMs: number, log: Logger): Promise<void> {
  await signalled()
  log.info({ execs: agent.execs, limitMs: drainTimeoutMs }, 'agent.drain')
  await Promise.race([agent.drain(drainTimeoutMs), signalled()])
}

function signalled(): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      process.off('SIGTERM', done).off('SIGINT', done)
      resolve()
    }
    process.on('SIGTERM', done).on('SIGINT', done)
  })
}

function addressText(address: AgentListen): string {
  if ('path' in address) return `unix://${address.path}`
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}
