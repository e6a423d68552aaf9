/** The commands of opsctl, as a tree. */
import type { Command } from 'commander'
import type { Cli } from './cli.js'
import { addAudit } from './commands/audit.js'
import { addCompletion } from './commands/completion.js'
import { addControl } from './commands/control.js'
import { addCp } from './commands/cp.js'
import { addDescribe } from './commands/describe.js'
import { addExec } from './commands/exec.js'
import { addGet } from './commands/get.js'
import { addCmdb } from './commands/list.js'
import { addLogin } from './commands/login.js'
import { addLogs } from './commands/logs.js'
import { addReplay } from './commands/replay.js'
import { addRules } from './commands/rules.js'
import { addSshConfig } from './commands/ssh-config.js'
import { addUsers } from './commands/user-list.js'
import { addVerify, addVersion } from './commands/verify.js'
import { finishTree, newProgram } from './program.js'

export function opsctlProgram(cli: Cli): Command {
  const program = newProgram(cli, 'command line client of the Dockin gateway')
  addLogin(program, cli)
  addGet(program, cli)
  addDescribe(program, cli)
  addCmdb(program, cli, 'list')
  addExec(program, cli)
  addLogs(program, cli)
  addCp(program, cli)
  addRules(program, cli)
  addUsers(program, cli)
  addAudit(program, cli)
  addReplay(program, cli)
  addControl(program, cli)
  addVerify(program, cli)
  addSshConfig(program, cli)
  addCompletion(program, cli)
  addVersion(program, cli)
  return finishTree(program)
}
