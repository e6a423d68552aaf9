/** The keys, over the page, on `?`. */
import { useEffect, useRef } from 'preact/hooks'
import type { View } from './frame.js'
import { useConsole } from './state/console.js'

const LISTS: readonly (readonly [string, string])[] = [
  ['j k', 'Next and previous row'],
  ['Enter', 'Open the row'],
  ['/', 'Search'],
  ['?', 'These keys'],
]
const PLAYER: readonly (readonly [string, string])[] = [
  ['Space', 'Play, pause'],
  ['← →', '5 seconds back, on'],
  ['n p', 'Next and previous command'],
  ['< >', 'Slower, faster'],
  ['f', 'Full screen'],
]

export function Help({ views }: { readonly views: readonly View[] }) {
  const { helpShown } = useConsole()
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => dialog.current?.showModal(), [])
  const close = () => (helpShown.value = false)
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="keys-title">
      <h1 id="keys-title">Keys</h1>
      <div class="shortcuts">
        {[...LISTS, ...PLAYER, ...views.map(({ key, label }) => [`g ${key}`, label] as const)].map(([keys, text]) => (
          <>
            <span>
              {keys.split(' ').map((key) => (
                <>
                  <kbd key={key}>{key}</kbd>{' '}
                </>
              ))}
            </span>
            <span>{text}</span>
          </>
        ))}
      </div>
      <div class="actions">
        <button type="button" class="button" onClick={close}>
          Close
        </button>
      </div>
    </dialog>
  )
}
