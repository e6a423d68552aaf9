/** An address that names no page. */
import { Link } from 'wouter-preact'
import { Empty } from '../parts/messages.js'
import { useTitle } from '../parts/page.js'

export function NowherePage() {
  useTitle('Not found')
  return (
    <Empty icon="search" title="There is no such page">
      <p>The address may be mistyped, or from another version.</p>
      <Link href="/sessions" class="button">
        To the sessions
      </Link>
    </Empty>
  )
}
