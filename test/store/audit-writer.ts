/** A gateway's log alone, for the kill -9 test: writes events as fast as they are answered and prints each number once it is. */
import { silentLogger } from '../../src/core/log.js'
import { AuditFile } from '../../src/store/audit-file.js'
import { AuditLog } from '../../src/store/audit-log.js'

const [dir] = process.argv.slice(2)
const log = await AuditLog.open({ stores: [new AuditFile(dir ?? '')], onFailure: 'refuse', logger: silentLogger })
const line = 'x'.repeat(200)
const write = async () => {
  for (;;) {
    const { seq } = await log.write({ type: 'command', session: 's', line, verdict: 'allow', confidence: 'exact' })
    process.stdout.write(`${seq}\n`)
  }
}
await Promise.all(Array.from({ length: 20 }, write))
