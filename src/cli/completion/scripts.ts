/** Completion scripts: small, for they ask the program itself. */

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type CompletionShell = (typeof SHELLS)[number]

/** The name of the hidden command. */
export const COMPLETE_COMMAND = '__complete'

/** The script for `source` or a completions folder. @param program "opsctl" or "dockctl" */
export function completionScript(shell: CompletionShell, program: string): string {
  return SCRIPTS[shell](program)
}

const SCRIPTS: Readonly<Record<CompletionShell, (program: string) => string>> = {
  // COMP_WORDS splits at ":" and "="; no word of ours needs them whole
  bash: (program) => `# bash completion of ${program}: source <(${program} completion bash)
_${program}_complete() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(${program} ${COMPLETE_COMMAND} -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _${program}_complete ${program}
`,
  zsh: (program) => `#compdef ${program}
# zsh completion of ${program}: source <(${program} completion zsh)
_${program}() {
  local -a found
  found=("\${(@f)$(${program} ${COMPLETE_COMMAND} -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- $found; else _default; fi
}
if [ "$funcstack[1]" = "_${program}" ]; then _${program}; else compdef _${program} ${program}; fi
`,
  fish: (program) => `# fish completion of ${program}: ${program} completion fish | source
function __${program}_complete
  set -l words (commandline -opc) (commandline -ct)
  ${program} ${COMPLETE_COMMAND} -- $words[2..-1] 2>/dev/null
end
complete -c ${program} -f -a '(__${program}_complete)'
`,
}
