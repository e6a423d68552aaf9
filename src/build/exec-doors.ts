/** The doors of HTTP that run programs: POST /api/v1/exec, WebSocket and SPDY execs, and the GETs that kubectl makes before. */
import type { IncomingMessage } from 'node:http'
import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { TargetResolver } from '../core/types.js'
import { execRoutes } from '../http/exec.js'
import { kubeRoutes } from '../http/exec-kube.js'
import { type ExecDoorParts, type Identify, RunSlots } from '../http/exec-parts.js'
import { spdyExec } from '../http/exec-spdy.js'
import { fileRoutes } from '../http/files.js'
import { logsRoutes } from '../http/logs.js'
import type { HttpServerOptions } from '../http/server.js'
import { wsExec } from '../http/ws-exec.js'
import { type UpgradeEntry, upgradeRoutes } from '../http/ws-upgrades.js'
import type { Entrance } from '../session/open.js'

type Route = HttpServerOptions['routes'][number]

export interface ExecDoorsOptions {
  readonly config: Pick<Config, 'http'>
  readonly identify: Identify
  /** Whether a page that opens a WebSocket is one of ours. */
  readonly isOwnOrigin: (request: IncomingMessage) => boolean
  readonly entrance: Entrance
  readonly resolver: Pick<TargetResolver, 'list'>
  /** Further upgrades of the same server, looked at first. */
  readonly upgrades?: readonly UpgradeEntry[]
  readonly log: Logger
}

/** @returns routes to be counted with the API's, and the upgrades, which are the server's own */
export function execDoors({ config, identify, isOwnOrigin, entrance, resolver, upgrades = [], log }: ExecDoorsOptions): { routes: Route[]; upgrades: Route } {
  const parts: ExecDoorParts = { identify, open: (request, client) => entrance.open(request, client), slots: new RunSlots(config.http.exec), log }
  return {
    routes: [execRoutes(parts), fileRoutes(parts), logsRoutes(parts), kubeRoutes({ identify, list: (identity) => resolver.list(identity) })],
    upgrades: upgradeRoutes([...upgrades, wsExec(parts, { isOwnOrigin }), spdyExec(parts)], log),
  }
}
