/**
 * Stands for the <style> elements that xterm.js makes (vite.config.mjs puts it in their place): what is written to it becomes a
 * constructed style sheet, which a Content-Security-Policy without 'unsafe-inline' allows.
 */
export function sheetElement(): HTMLElement {
  const element = document.createElement('template')
  const sheet = new CSSStyleSheet()
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]
  Object.defineProperty(element, 'textContent', { set: (css: string) => sheet.replaceSync(css), get: () => '' })
  const remove = element.remove.bind(element)
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet)
    remove()
  }
  return element
}
