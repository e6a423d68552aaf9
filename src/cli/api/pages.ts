/** Lists that come in parts. */

interface Part<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}

/** As many at once as the API gives. */
const PART = 1000

/** Every item, part by part; @param most stop after so many */
export async function allItems<T>(
  ask: (page: { readonly cursor?: string; readonly limit: number }) => Promise<Part<T>>,
  most = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const part = await ask({ limit: Math.min(PART, most - items.length), ...(cursor !== undefined && { cursor }) })
    items.push(...part.items)
    cursor = part.items.length > 0 ? part.next : undefined
  } while (cursor !== undefined && items.length < most)
  return items
}
