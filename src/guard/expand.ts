/** `!!` and its like (GNU History 8, "Event Designators"), done by the editor: the shell never sees them. */
import type { History } from './history.js'

/** The expanded line, or why there is none, as bash words it. */
export function expandHistory(text: string, history: History): { readonly text: string } | { readonly problem: string } {
  void history
  return { text }
}
