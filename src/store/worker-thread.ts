/** Threads of the store: what would hold the event loop (SQLite, a terminal emulator) runs in one. */
import { Worker } from 'node:worker_threads'

/**
 * Starts the module that stands beside the caller. From a checkout that runs its TypeScript directly the thread needs tsx's
 * loader, which a thread does not inherit on Node 20.
 * @param caller `import.meta.url` of the caller; @param name without extension: "search-worker"
 */
export function startWorker(caller: string, name: string, workerData: unknown): Worker {
  const isSource = caller.endsWith('.ts')
  const url = new URL(`./${name}${isSource ? '.ts' : '.js'}`, caller)
  if (!isSource) return new Worker(url, { workerData })
  const code = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(url.href)}) })`
  return new Worker(code, { eval: true, workerData })
}
