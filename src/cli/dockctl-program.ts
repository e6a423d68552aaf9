/** The commands of dockctl, as a tree. */
import type { Command } from 'commander'
import type { Cli } from './cli.js'
import { addDockExec } from './commands/dock-exec.js'
import { finishTree, newProgram } from './program.js'

export function dockctlProgram(cli: Cli): Command {
  const program = newProgram(cli, 'batch client of the Dockin gateway: many pods, by subsystem')
  addDockExec(program, cli)
  return finishTree(program)
}
