/** What every Executor must do. The target needs `sh`, `cat`, `grep`, `head`, `sleep` and `stty`: busybox will do. */
import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, before, describe, test } from 'node:test'
import { OpsError } from '../../src/core/errors.js'
import type { ExecRequest, Executor, ExitStatus, Target, WindowSize } from '../../src/core/types.js'

export interface ExecutorContract {
  readonly name: string
  make(): Executor | Promise<Executor>
  /** Called once the executor is made. */
  target(): Target | Promise<Target>
  /** Reason to skip all of it. */
  readonly skip?: string | false
  /** The way to the target may break when a program ends while its input is in flight, as Kubernetes' own does; then exit must say so. */
  readonly isResetByInput?: boolean
  /** What `via` must look like. */
  readonly via?: RegExp
}

const MIB = 1024 * 1024
const SIZE: WindowSize = { columns: 100, rows: 30, widthPx: 0, heightPx: 0 }

/** Registers the suite; call it at the top of a test file. */
export function executorContract(contract: ExecutorContract): void {
  describe(contract.name, { skip: contract.skip ?? false }, () => {
    let executor: Executor
    let target: Target
    before(async () => {
      executor = await contract.make()
      target = await contract.target()
    })
    after(() => executor?.close())

    const start = (argv: readonly string[], more: Partial<ExecRequest> = {}, signal = new AbortController().signal) =>
      executor.exec(target, { argv, env: {}, ...more }, signal)
    const startPty = (argv: readonly string[], signal?: AbortSignal) => start(argv, { pty: { term: 'xterm-256color', size: SIZE, modes: {} } }, signal)
    const run = async (argv: readonly string[], more: Partial<ExecRequest> = {}) => {
      const process = await start(argv, more)
      process.stdin.end()
      const [out, err, exit] = await Promise.all([text(process.stdout), process.stderr ? text(process.stderr) : '', process.exit])
      await process.close()
      return { out, err, exit }
    }
    /** How many processes of the target have SECONDS as an argument; the brackets keep grep from finding itself. */
    const sleepers = async (seconds: string) => {
      const pattern = `[${seconds.slice(0, 1)}]${seconds.slice(1)}`
      return Number((await run(['sh', '-c', 'grep -lszx -e "$1" /proc/[0-9]*/cmdline | grep -c .', 'sh', pattern])).out)
    }
    const untilGone = async (seconds: string) => {
      for (let tries = 0; (await sleepers(seconds)) > 0; tries++) assert.ok(tries < 50, 'the program lives on')
    }

    test('a program’s outputs come apart, with its exit code', async () => {
      assert.deepEqual(await run(['sh', '-c', 'echo out; echo err >&2; exit 7']), { out: 'out\n', err: 'err\n', exit: exited(7) })
      assert.deepEqual((await run(['true'])).exit, exited(0))
    })

    test('via says where the program runs', async () => {
      const process = await start(['true'])
      assert.match(process.via, contract.via ?? /./)
      await process.close()
    })

    test('arguments arrive as they are', async () => {
      const argv = ['', ' a  b ', '"\'$HOME`x`\\', 'ä 漢\n', '--', '-n', '*', 'a&b=c+d%20#?']
      const { out } = await run(['sh', '-c', 'for a; do printf "%s|" "$a"; done', 'sh', ...argv])
      assert.equal(out, argv.map((word) => `${word}|`).join(''))
    })

    test('the environment and the directory are set', async () => {
      const { out } = await run(['sh', '-c', 'printf "%s|%s|%s" "$FOO" "$EMPTY" "$PWD"'], { env: { FOO: 'a \'b\' "c" \n=d', EMPTY: '' }, cwd: '/tmp' })
      assert.equal(out, 'a \'b\' "c" \n=d||/tmp')
    })

    test('the end of stdin reaches the program, which can still answer', async () => {
      const process = await start(['sh', '-c', 'cat; echo end'])
      process.stdin.end('hello ')
      assert.equal(await text(process.stdout), 'hello end\n')
      assert.deepEqual(await process.exit, exited(0))
      await process.close()
    })

    test('8 MiB of any bytes go in and out whole', async () => {
      const input = randomBytes(8 * MIB)
      const process = await start(['cat'])
      const [, echoed] = await Promise.all([pipeline([input], process.stdin), buffer(process.stdout)])
      assert.equal(sha256(echoed), sha256(input))
      assert.deepEqual(await process.exit, exited(0))
      await process.close()
    })

    test('a slow reader holds the program, and little is kept for it', async () => {
      const process = await start(['sh', '-c', `head -c ${48 * MIB} /dev/zero`])
      let isOver = false
      const over = process.exit.finally(() => {
        isOver = true
      })
      await new Promise((resolve) => setTimeout(resolve, 500)) // nobody reads, so it must not end
      assert.equal(isOver, false)
      let bytes = 0
      let peak = 0
      const slow = new Writable({
        highWaterMark: 1,
        write: (chunk: Buffer, _encoding, done) => {
          bytes += chunk.length
          peak = Math.max(peak, process.stdout.readableLength)
          setImmediate(done)
        },
      })
      await pipeline(process.stdout, slow)
      assert.equal(bytes, 48 * MIB)
      assert.ok(peak <= 2 * MIB, `${peak} bytes were kept`)
      assert.deepEqual(await over, exited(0))
      await process.close()
    })

    test('a program that never reads holds its writer', async () => {
      const seconds = unique()
      const process = await start(['sleep', seconds])
      const chunk = Buffer.alloc(64 * 1024)
      let bytes = 0
      while (bytes < 128 * MIB) {
        bytes += chunk.length
        if (process.stdin.write(chunk)) continue
        const stalled = new Promise((resolve) => setTimeout(resolve, 500, 'stalled'))
        if ((await Promise.race([once(process.stdin, 'drain'), stalled])) === 'stalled') break
      }
      assert.ok(bytes < 64 * MIB, `${bytes} bytes were taken`)
      await process.close()
      assert.equal(await sleepers(seconds), 0)
    })

    test('input that nobody reads does not hide the exit code', async () => {
      const process = await start(['sh', '-c', 'exit 5'])
      process.stdin.on('error', () => {})
      process.stdin.write(Buffer.alloc(MIB))
      process.stdout.resume()
      const exit = await process.exit.catch((error: unknown) => error)
      if (contract.isResetByInput && exit instanceof OpsError) assert.equal(exit.code, 'PROTOCOL_ERROR')
      else assert.deepEqual(exit, exited(5))
      await process.close()
    })

    test('a terminal merges the outputs, has its size, TERM and every new size', async () => {
      const process = await startPty(['sh'])
      assert.equal(process.stderr, undefined)
      process.stdin.write(
        'stty -echo; await() { for i in $(seq 600); do [ "$(stty size)" = "$1" ] && return; sleep 0.05; done; exit 9; }; await "30 100"; echo "fir""st $TERM"\n',
      )
      await until(process.stdout, /first xterm-256color/)
      process.resize({ ...SIZE, columns: 123, rows: 45 })
      process.stdin.write('await "45 123"; echo "sec""ond" >&2; exit 4\n')
      await until(process.stdout, /second/)
      process.stdout.resume()
      assert.deepEqual(await process.exit, exited(4))
      await process.close()
    })

    test('Ctrl-C in a terminal interrupts the foreground', async () => {
      const process = await startPty(['sh', '-c', 'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.1; done'])
      await until(process.stdout, /ready/)
      process.kill('INT')
      await until(process.stdout, /caught/)
      process.stdout.resume()
      assert.deepEqual(await process.exit, exited(9))
      await process.close()
    })

    test('kill ends a program', async () => {
      const seconds = unique()
      const process = await start(['sleep', seconds])
      process.stdout.resume()
      process.kill('TERM')
      assert.ok(isSignal(await process.exit, 'TERM', 15))
      await process.close()
      assert.equal(await sleepers(seconds), 0)
    })

    test('kill with a signal of its choice reaches a trap', async () => {
      const process = await start(['sh', '-c', 'trap "echo caught; exit 3" USR1; echo ready; while :; do sleep 0.1; done'])
      await until(process.stdout, /ready/)
      process.kill('USR1')
      await until(process.stdout, /caught/)
      process.stdout.resume()
      assert.deepEqual(await process.exit, exited(3))
      await process.close()
    })

    test('close leaves no process behind, not even one in the background', async () => {
      const seconds = unique()
      const process = await start(['sh', '-c', `(trap "" HUP; sleep ${seconds}) & sleep ${seconds} & echo ready; sleep ${seconds}`])
      await until(process.stdout, /ready/)
      assert.ok((await sleepers(seconds)) >= 2)
      await Promise.all([process.close(), process.close()])
      assert.equal(await sleepers(seconds), 0)
      await process.close()
      await process.exit.catch((error: unknown) => assert.ok(error instanceof OpsError))
    })

    test('close of a terminal ends its shell and what it started', async () => {
      const seconds = unique()
      const process = await startPty(['sh'])
      process.stdin.write(`stty -echo; sleep ${seconds} & echo "rea""dy"\n`)
      await until(process.stdout, /ready/)
      await process.close()
      assert.equal(await sleepers(seconds), 0)
    })

    test('close after the end ends what was left in the background', async () => {
      const seconds = unique()
      const process = await start(['sh', '-c', `sleep ${seconds} >/dev/null 2>&1 </dev/null & exit 0`])
      process.stdout.resume()
      process.stderr?.resume()
      await process.exit
      await process.close()
      assert.equal(await sleepers(seconds), 0)
    })

    test('aborting rejects exit with the reason and ends the program', async () => {
      const seconds = unique()
      const abort = new AbortController()
      const process = await start(['sh', '-c', `sleep ${seconds} & sleep ${seconds}`], {}, abort.signal)
      abort.abort(new OpsError('IDLE_TIMEOUT', 'test'))
      await assert.rejects(process.exit, { code: 'IDLE_TIMEOUT' })
      await process.close()
      await untilGone(seconds)
    })

    test('aborting before the start rejects with the reason', async () => {
      await assert.rejects(start(['true'], {}, AbortSignal.abort(new OpsError('DRAINING', 'test'))), { code: 'DRAINING' })
      const seconds = unique()
      const abort = new AbortController()
      const starting = start(['sleep', seconds], {}, abort.signal)
      abort.abort(new OpsError('CLIENT_GONE', 'test'))
      await assert.rejects(starting, { code: 'CLIENT_GONE' })
      await untilGone(seconds)
    })

    test('a program that is not there is said to be so, and one that cannot run too', async () => {
      await assert.rejects(start(['dockin-no-such-program']), { code: 'COMMAND_NOT_FOUND' })
      await assert.rejects(start(['/no/such/program']), { code: 'COMMAND_NOT_FOUND' })
      await assert.rejects(start(['/etc/passwd']), { code: 'COMMAND_NOT_EXECUTABLE' })
      await assert.rejects(startPty(['dockin-no-such-program']), { code: 'COMMAND_NOT_FOUND' })
    })

    test('twenty programs at a time do not mix', async () => {
      const outs = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await run(['sh', '-c', `echo ${i}; exit ${i}`])).exit))
      assert.deepEqual(
        outs,
        Array.from({ length: 20 }, (_, i) => exited(i)),
      )
    })

    test('ready says that programs can be started', async () => {
      await executor.ready?.(AbortSignal.timeout(5000))
    })
  })
}

function exited(code: number): ExitStatus {
  return { kind: 'exited', code }
}

function isSignal(status: ExitStatus, name: string, number: number): boolean {
  return status.kind === 'signaled' ? status.signal === name : status.code === 128 + number
}

/** Seconds that no other sleep has. */
function unique(): string {
  return String(randomInt(1_000_000, 9_999_999))
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

async function until(stream: Readable, pattern: RegExp): Promise<void> {
  let seen = ''
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    seen += chunk.toString()
    if (pattern.test(seen)) return
  }
  assert.fail(`ended without ${pattern}: ${seen}`)
}
