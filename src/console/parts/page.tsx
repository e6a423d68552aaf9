/** The head of each page: what it is, and what can be done on it. */
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'

export interface PageHeadProps {
  readonly title: string
  readonly lead?: ComponentChildren
  readonly children?: ComponentChildren
}

export function PageHead({ title, lead, children }: PageHeadProps) {
  useTitle(title)
  return (
    <header class="page-head">
      <div class="lead">
        <h1>{title}</h1>
        {lead && <p>{lead}</p>}
      </div>
      {children && <div class="row wrap">{children}</div>}
    </header>
  )
}

/** Of the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Dockin Ops`
  }, [title])
}
