/** The way to the next part of a list. */
import type { Pages } from '../state/load.js'

export function More<T>({ pages }: { readonly pages: Pages<T> }) {
  return (
    <div class="more">
      <button type="button" class="button" disabled={pages.isLoadingMore} onClick={pages.more}>
        {pages.isLoadingMore ? 'Loading …' : 'Show more'}
      </button>
    </div>
  )
}
