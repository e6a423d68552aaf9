// `npm run bench`: sets up and runs bench/main.ts; arguments go to it (`-- --json FILE`, `-- --only connect`).
import { join } from 'node:path'
import { must, root, setUp } from './setup.mjs'

setUp()
must(process.execPath, ['--import', 'tsx', join(root, 'bench/main.ts'), ...process.argv.slice(2)])
