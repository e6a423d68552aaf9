// Builds the console into dist/console. Nothing here is needed at run time: the gateway serves the files as they are.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vite'

const root = import.meta.dirname

/**
 * xterm.js writes <style> elements and style attributes, which `style-src 'self'` forbids. Constructed style sheets and the
 * CSSOM are not markup, so they are allowed: the same rules go there. A version that does not match is refused.
 */
function xtermWithoutInlineStyles() {
  return {
    name: 'xterm-without-inline-styles',
    transform(code, id) {
      if (!id.includes('@xterm/xterm/lib/xterm.mjs')) return undefined
      let edited = code
      const edit = (pattern, replacement, expected) => {
        const found = edited.match(pattern)?.length ?? 0
        if (found !== expected) throw new Error(`xterm.js: expected ${expected} of ${pattern}, found ${found}: read the new version before it is used`)
        edited = edited.replace(pattern, replacement)
      }
      edit(/[\w.]+\.createElement\("style"\)/g, '__sheetElement()', 3)
      edit(/(\w)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{(\w)\};`\)/g, '($1.style.cssText+=$2+";")', 1)
      return { code: `import { sheetElement as __sheetElement } from ${JSON.stringify(join(root, 'terminal/sheet-element.ts'))};${edited}`, map: null }
    },
  }
}

export default defineConfig({
  root,
  base: '/',
  publicDir: join(root, 'public'),
  plugins: [xtermWithoutInlineStyles()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  define: { __VERSION__: JSON.stringify(JSON.parse(readFileSync(join(root, '../../package.json'), 'utf8')).version) },
  build: {
    outDir: join(root, '../../dist/console'),
    emptyOutDir: true,
    target: ['chrome125', 'firefox128', 'safari18'],
    // a data: URL would need a wider img-src
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
})
