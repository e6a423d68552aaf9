/** The commander tree's frame: messages of one line, exit codes, options that every command has. */
import { Command, CommanderError, Option } from 'commander'
import type { Cli } from './cli.js'
import { ExitCode, explain, UsageError } from './problem.js'
import { writeOut } from './streams.js'
import { Cancelled } from './terminal/prompt.js'
import { OUTPUT_FORMATS } from './text/output.js'

/** A command that answers with the one line that we print. */
export function newProgram(cli: Cli, description: string): Command {
  const { stdout, stderr } = cli.streams
  return new Command(cli.program)
    .description(description)
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ sortSubcommands: false, showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => {
        stdout.write(text)
      },
      writeErr: (text) => {
        stderr.write(text)
      },
      getOutHelpWidth: () => stdout.columns || 80,
      getErrHelpWidth: () => stderr.columns || 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      // printed by `runProgram`, in one line
      outputError: () => {},
    })
}

/** `-o` of every command that prints a list. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices([...OUTPUT_FORMATS]).default('table')
}

/** Gives each command that does something the options that all have, and commander's settings. */
export function finishTree(program: Command): Command {
  for (const command of program.commands) {
    command.copyInheritedSettings(program)
    finishTree(command)
  }
  if (program.parent && program.commands.length === 0)
    program.option('--context <name>', 'gateway and login to use (default: the current one, or $DOCKIN_CONTEXT)')
  return program
}

/** Runs the tree on the arguments after the program's name; @returns the exit code. Never throws. */
export async function runProgram(cli: Cli, program: Command, args: readonly string[]): Promise<number> {
  try {
    await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    const { line, exit } = explainAll(error, program)
    if (line !== '') await writeOut(cli.streams.stderr, line)
    return exit
  }
}

function explainAll(error: unknown, program: Command): { line: string; exit: number } {
  if (error instanceof Cancelled) return { line: '', exit: 130 }
  if (!(error instanceof CommanderError)) return explain(error)
  if (error.exitCode === 0 || error.code === 'commander.help') return { line: '', exit: error.exitCode === 0 ? 0 : 2 }
  const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/s, ' (did you mean $1?)')
  return explain(new UsageError(`${message}; see ${program.name()} --help`))
}

/** The whole life of a client program. */
export async function main(cli: Cli, program: Command): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `opsctl … | head`: the reader has what it wanted. 128 + SIGPIPE, as other programs
      process.exit(error.code === 'EPIPE' ? 141 : 255)
    })
  }
  const exit = await runProgram(cli, program, process.argv.slice(2))
  await new Promise((resolve) => process.stdout.write('', resolve))
  process.exit(exit)
}

/** Ends the command with the exit code of what ran. */
export function exitWith(code: number): void {
  if (code !== 0) throw new ExitCode(code)
}

/** A parser for options that count: "--tail 10". */
export function wholeNumber(name: string, least = 0): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw new UsageError(`${name}: "${text}" is not a whole number${least > 0 ? ` of at least ${least}` : ''}`)
    return value
  }
}
