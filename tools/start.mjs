// `npm start`: installs, builds and runs the gateway on its embedded default. Arguments go to opserver.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root, setUp } from './setup.mjs'

setUp()
const child = spawn(process.execPath, [join(root, 'dist/src/main.js'), '--demo', ...process.argv.slice(2)], { stdio: 'inherit' })
// a terminal's Ctrl-C reaches the child by itself; this process only waits for it to drain
process.on('SIGINT', () => {})
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
