/** Rows of the console: what somebody waits for in a real browser. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ConsoleWorld, missing } from '../test/console/support/console-world.js'
import { openHit } from '../test/console/support/hit-time.js'
import { recordHour } from '../test/support/hour-recording.js'
import { type Goal, type Row, skippedRow } from './pair.js'

interface Named {
  readonly name: string
  readonly goal: Goal
}
interface ConsoleBench extends Named {
  readonly measure: (world: unknown, bench: Named) => Promise<Row>
}

const HITS = 20
const LIMIT_MS = 300

/** From the click on a hit of the audit search to the painted frame of its second, over the gateway of dist/ in chromium. */
async function hitToFrame(_world: unknown, { name, goal }: Named): Promise<Row> {
  if (missing) return skippedRow(name, goal.text, missing)
  const world = new ConsoleWorld()
  try {
    const hour = await recordHour(join(world.dir, 'data'), 'bob')
    await world.start()
    const page = await world.login('audra', '/audit?type=command')
    const times: number[] = []
    for (let i = 0; i < HITS; i++) {
      const command = hour.commands[(i * 151 + 215) % hour.commands.length]
      if (!command) throw new Error('there is no such command')
      times.push(await openHit(page, command.line, command.output))
      await page.goBack()
      await page.getByLabel('Search').waitFor()
    }
    const [first = 0] = times
    const sorted = [...times].sort((a, b) => a - b)
    const worst = sorted.at(-1) ?? Number.NaN
    const median = sorted[sorted.length >> 1] ?? 0
    const note = `worst of ${HITS} hits; first ${first.toFixed(0)} ms, median ${median.toFixed(0)} ms; an hour, ${(hour.shownBytes / 1e6).toFixed(0)} MB shown, ${(hour.bytes / 1e6).toFixed(1)} MB on disk`
    return { name, unit: 'ms', ours: worst, goal: goal.text, verdict: goal.met(worst, worst) ? 'met' : 'MISSED', note }
  } finally {
    await world.stop()
    rmSync(world.dir, { recursive: true, force: true })
  }
}

/** For bench/main.ts; needs its build, and none of its world. */
export function consoleBenches(): readonly ConsoleBench[] {
  return [
    {
      name: 'search hit to its frame in the browser, in an hour of recording',
      goal: { text: `≤ ${LIMIT_MS} ms`, met: (_ratio, ours) => ours <= LIMIT_MS },
      measure: hitToFrame,
    },
  ]
}
