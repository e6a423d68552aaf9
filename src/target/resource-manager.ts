/** What a resource manager answers, whoever it is: the embedded one reads pod labels, the client asks Dockin-rm. */
import type { RmPod } from '../wire/api/resource-manager.js'

/**
 * Every question may be answered with no pod; none is asked for what an identity may see: whoever asks filters.
 * @throws OpsError TARGET_UNREACHABLE when it is away, PROTOCOL_ERROR when its answer cannot be understood
 */
export interface ResourceManager {
  /** For messages: "embedded", or the host that is asked. */
  readonly name: string
  byPodName(podName: string, signal: AbortSignal): Promise<readonly RmPod[]>
  byPodIp(podIp: string, signal: AbortSignal): Promise<readonly RmPod[]>
  byHostIp(hostIp: string, signal: AbortSignal): Promise<readonly RmPod[]>
  /** @param subsystem its name or its id; @param dcn all when absent */
  bySubsystem(subsystem: string, dcn: string | undefined, signal: AbortSignal): Promise<readonly RmPod[]>
  byPodSetId(podSetId: string, signal: AbortSignal): Promise<readonly RmPod[]>
  byPodNames(podNames: readonly string[], signal: AbortSignal): Promise<readonly RmPod[]>
  /** Undefined when no node of that address is known. */
  clusterIdOf(hostIp: string, signal: AbortSignal): Promise<string | undefined>
  close(): void
}
