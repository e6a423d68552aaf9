#!/usr/bin/env node
/** The dockctl program. */
import { createCli } from './cli.js'
import { dockctlProgram } from './dockctl-program.js'
import { main } from './program.js'

const cli = createCli('dockctl', process)
await main(cli, dockctlProgram(cli))
