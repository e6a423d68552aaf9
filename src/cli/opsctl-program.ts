/** The commands of opsctl, as a tree. */
import type { Command } from 'commander'
import type { Cli } from './cli.js'
import { addExec } from './commands/exec.js'
import { addLogin } from './commands/login.js'
import { finishTree, newProgram } from './program.js'

export function opsctlProgram(cli: Cli): Command {
  const program = newProgram(cli, 'command line client of the Dockin gateway')
  addLogin(program, cli)
  addExec(program, cli)
  return finishTree(program)
}
