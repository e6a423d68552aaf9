/** The path at which an agent gives a container's log: an extension of ours beside kubelet's, with the names that kubelet's /containerLogs has. */
import type { LogsRequest, Target } from '../core/types.js'

export function logsPath(target: Target, { follow, tail, since, timestamps, previous, stream }: LogsRequest): string {
  const query = new URLSearchParams({ containerId: target.containerId })
  if (follow) query.set('follow', '1')
  if (timestamps) query.set('timestamps', '1')
  if (previous) query.set('previous', '1')
  if (tail !== undefined) query.set('tailLines', String(tail))
  if (since) query.set('sinceTime', since.toISOString())
  if (stream) query.set('stream', stream)
  const path = [target.namespace, target.pod, target.uid, target.container].map(encodeURIComponent).join('/')
  return `/logs/${path}?${query}`
}
