/** How long a browser takes from a click on a search hit to the frame that it shows. */
import type { Page } from 'playwright-core'

const OPEN = 'Open the session at this second'

/** Finds a line in the audit search and opens its session there. @returns milliseconds from the click until `output` is on the screen */
export async function openHit(page: Page, line: string, output: string): Promise<number> {
  await page.getByLabel('Search').fill(line)
  const hit = page.locator('summary', { hasText: new RegExp(`${line}(?!\\d)`) })
  await hit.click()
  const link = page.getByRole('link', { name: OPEN })
  await link.waitFor()
  return await link.evaluate(
    (element, wanted) =>
      new Promise<number>((resolve, reject) => {
        const startMs = performance.now()
        const late = setTimeout(() => reject(new Error(`"${wanted}" was not shown`)), 30_000)
        // no function here may have a name: tsx would wrap it in a helper that a page does not have
        new MutationObserver((_changes, observer) => {
          if (!document.querySelector('.ap-term-text')?.textContent?.includes(wanted)) return
          observer.disconnect()
          clearTimeout(late)
          // what stands in the document is painted with the frame that follows
          requestAnimationFrame(() => resolve(performance.now() - startMs))
        }).observe(document.body, { childList: true, subtree: true, characterData: true })
        ;(element as HTMLElement).click()
      }),
    output,
  )
}
