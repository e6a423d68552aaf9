/** A button that puts a text onto the clipboard and says so. */
import { useConsole } from '../state/console.js'
import { Icon } from './icon.js'

export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  const { news } = useConsole()
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      news.value = 'Copied'
    } catch {
      // browsers give the clipboard to secure pages only
      news.value = `This browser does not let a page copy over plain HTTP: ${text}`
    }
  }
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={copy}>
      <Icon name="copy" />
    </button>
  )
}
