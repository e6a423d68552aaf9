/** A page whose code is fetched when it is first shown. */
import type { ComponentType } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Problem, Waiting } from './parts/messages.js'

export interface LaterProps<P> {
  readonly load: () => Promise<ComponentType<P>>
  readonly props: P
}

export function Later<P extends object>({ load, props }: LaterProps<P>) {
  const [state, setState] = useState<{ readonly page?: ComponentType<P>; readonly error?: unknown }>({})
  useEffect(() => {
    let isGone = false
    load().then(
      (page) => isGone || setState({ page }),
      (error: unknown) => isGone || setState({ error }),
    )
    return () => {
      isGone = true
    }
  }, [load])
  // after an upgrade of the gateway the files of the old page are gone
  if (state.error !== undefined) return <Problem error={state.error} retry={() => location.reload()} />
  const Page = state.page
  return Page ? <Page {...props} /> : <Waiting />
}
