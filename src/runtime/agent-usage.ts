/** What containers use, asked of the agents of their nodes. */
import { z } from 'zod'
import { toOpsError } from '../core/errors.js'
import type { ContainerUsage, Target, UsageReport } from '../core/types.js'
import type { AgentEndpoint } from './agent-pool.js'

/** GET /usage of an agent. @throws OpsError */
export type AskAgent = (endpoint: AgentEndpoint, signal: AbortSignal) => Promise<string>

const answerSchema = z.object({
  containers: z.record(z.string(), z.object({ cpuMillis: z.number().optional(), memoryBytes: z.number().optional(), oomKills: z.number().optional() })),
})
/** A node that has not answered by then is not waited for. */
const ANSWER_MS = 5000
const AT_ONCE = 32

/** Asks each node once, all side by side; one that does not answer is a problem of the report. */
export async function agentUsage(
  targets: readonly Target[],
  endpointOf: (target: Target) => AgentEndpoint | undefined,
  ask: AskAgent,
  signal: AbortSignal,
): Promise<UsageReport> {
  const nodes = new Map(targets.filter(({ node }) => node !== '').map((target) => [target.node, target]))
  const usage = new Map<string, ContainerUsage>()
  const problems: string[] = []
  const waiting = [...nodes]
  const worker = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [node, target] = next
      try {
        const endpoint = endpointOf(target)
        if (!endpoint) throw new Error('no agent is known')
        const answer = answerSchema.parse(JSON.parse(await ask(endpoint, AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]))))
        for (const [id, one] of Object.entries(answer.containers)) usage.set(id, definedOf(one))
      } catch (error) {
        signal.throwIfAborted()
        problems.push(`node ${node}: ${toOpsError(error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, waiting.length) }, worker))
  return { usage, problems: problems.sort() }
}

function definedOf({
  cpuMillis,
  memoryBytes,
  oomKills,
}: {
  cpuMillis?: number | undefined
  memoryBytes?: number | undefined
  oomKills?: number | undefined
}): ContainerUsage {
  return { ...(cpuMillis !== undefined && { cpuMillis }), ...(memoryBytes !== undefined && { memoryBytes }), ...(oomKills !== undefined && { oomKills }) }
}
