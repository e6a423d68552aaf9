/** The resource manager of a config: Dockin-rm where a URL is given, else the labels of our own pods. */
import { readFile } from 'node:fs/promises'

import type { Config } from '../config/values.js'
import type { Logger } from '../core/log.js'
import type { Policy } from '../core/types.js'
import type { Identify } from '../http/exec-parts.js'
import { rmRoutes } from '../http/rm.js'
import type { HttpServerOptions } from '../http/server.js'
import { Cmdb } from '../target/cmdb.js'
import type { Inventory } from '../target/inventory.js'
import type { ResourceManager } from '../target/resource-manager.js'
import { RmClient } from '../target/rm-client.js'
import { EmbeddedResourceManager } from '../target/rm-embedded.js'

type Route = HttpServerOptions['routes'][number]

export interface BuiltResourceManager {
  readonly manager: ResourceManager
  readonly cmdb: Cmdb
  /** /rmController/… and /api/v1/cmdb, for whoever `identify` knows. */
  routes(identify: Identify): Route
  close(): void
}

/** @throws Error of reading tokenFile */
export async function buildResourceManager(
  { resourceManager }: Pick<Config, 'resourceManager'>,
  inventories: readonly Inventory[],
  policy: Policy,
  log: Logger,
): Promise<BuiltResourceManager> {
  const { url, tokenFile, timeoutMs, cacheMs, labels } = resourceManager
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim()
  const manager: ResourceManager =
    url === undefined ? new EmbeddedResourceManager(inventories, labels) : new RmClient({ url, timeoutMs, cacheMs, log, ...(token !== undefined && { token }) })
  const cmdb = new Cmdb({ manager, inventories, maySee: (identity, target) => policy.decide({ kind: 'see', identity, target }).allow })
  return { manager, cmdb, routes: (identify) => rmRoutes({ identify, cmdb, manager, log }), close: () => manager.close() }
}
