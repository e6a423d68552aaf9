/** Light, dark, or as the system says. Kept in this browser only. */
import { effect, type Signal, signal } from '@preact/signals'

export const THEMES = ['auto', 'light', 'dark'] as const
export type ThemeName = (typeof THEMES)[number]
const KEY = 'dockin.theme'

export class Theme {
  readonly name: Signal<ThemeName> = signal(stored())

  constructor() {
    effect(() => {
      const name = this.name.value
      if (name === 'auto') delete document.documentElement.dataset.theme
      else document.documentElement.dataset.theme = name
      keep(name)
    })
  }

  next(): void {
    this.name.value = THEMES[(THEMES.indexOf(this.name.value) + 1) % THEMES.length] ?? 'auto'
  }
}

function stored(): ThemeName {
  try {
    const name = localStorage.getItem(KEY)
    return THEMES.find((each) => each === name) ?? 'auto'
  } catch {
    // a browser that stores nothing: the system decides
    return 'auto'
  }
}

function keep(name: ThemeName): void {
  try {
    if (name === 'auto') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, name)
  } catch {
    // the choice holds for this page only
  }
}
