/** Help of every command as one page of Markdown; docs/ holds what this prints, and a test compares them. */
import type { Command } from 'commander'
import { isHidden } from './completion/candidates.js'

/** Width of the pages, whatever the terminal. */
const COLUMNS = 100

/** The part of a page between its marks. */
export function helpPages(program: Command): string {
  return `${commandsOf(program)
    .map((command) => `### ${nameOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`)
    .join('\n')}`
}

function commandsOf(command: Command): Command[] {
  const inner = command.commands.filter((one) => !isHidden(one)).flatMap(commandsOf)
  // a command that only holds others says nothing of its own; the program's own page is the list of them
  return command.commands.length > 0 && command.parent ? inner : [command, ...inner]
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name()
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut: (part) => {
      text += part
    },
    getOutHelpWidth: () => COLUMNS,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
