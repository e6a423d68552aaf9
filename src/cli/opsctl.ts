#!/usr/bin/env node
/** The opsctl program. */
import { createCli } from './cli.js'
import { opsctlProgram } from './opsctl-program.js'
import { main } from './program.js'

const cli = createCli('opsctl', process)
await main(cli, opsctlProgram(cli))
