/** One recording, for the kill -9 test: a line every 10 ms, and a word on stdout once the first was written. */
import { TapeFile } from '../../src/store/tape-file.js'
import { castEventLine, castHeaderLine } from '../../src/wire/asciicast.js'
import { aSession } from '../support/sessions.js'

const tape = await new TapeFile({ dataDir: process.argv[2] ?? '' }).create(aSession().session)
tape.sink.write(castHeaderLine({ version: 2, width: 80, height: 24 }))
const start = performance.now()
setInterval(() => tape.sink.write(castEventLine((performance.now() - start) / 1000, 'o', 'a line of output')), 10)
process.stdout.write('writing\n')
