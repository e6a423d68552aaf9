// Builds the console into dist/console, unless what stands there is newer than all that it is made of.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'vite'

const root = join(import.meta.dirname, '..')
const SOURCES = ['src/console', 'src/wire/api', 'src/core', 'package-lock.json', 'package.json']

function newestMs(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestMs(join(path, name))))
}

const built = statSync(join(root, 'dist/console/index.html'), { throwIfNoEntry: false })?.mtimeMs ?? 0
if (process.argv.includes('--force') || Math.max(...SOURCES.map((path) => newestMs(join(root, path)))) > built) {
  await build({ configFile: join(root, 'src/console/vite.config.mjs'), logLevel: 'warn' })
}
