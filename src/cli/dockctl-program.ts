/** The commands of dockctl, as a tree. */
import type { Command } from 'commander'
import type { Cli } from './cli.js'
import { addCompletion } from './commands/completion.js'
import { addDockCp } from './commands/cp.js'
import { addDockExec } from './commands/dock-exec.js'
import { addDockSsh } from './commands/dock-ssh.js'
import { addCmdb } from './commands/list.js'
import { addLogin } from './commands/login.js'
import { addTop } from './commands/top.js'
import { addVersion } from './commands/verify.js'
import { finishTree, newProgram } from './program.js'

export function dockctlProgram(cli: Cli): Command {
  const program = newProgram(cli, 'batch client of the Dockin gateway: many pods, by subsystem')
  addCmdb(program, cli, 'cmdb')
  addDockSsh(program, cli)
  addDockExec(program, cli)
  addDockCp(program, cli)
  addTop(program, cli)
  addLogin(program, cli)
  addCompletion(program, cli)
  addVersion(program, cli)
  return finishTree(program)
}
