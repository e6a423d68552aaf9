/** The menu of `dockctl ssh`: numbers, a filter, DCNs. Pure. */
import type { CmdbPod } from '../../wire/api/resource-manager.js'

export type MenuAnswer =
  | { readonly kind: 'pod'; readonly pod: CmdbPod }
  | { readonly kind: 'show' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'unclear'; readonly message: string }

/** What is listed, and what a line that was typed means. */
export class PodMenu {
  readonly #pods: readonly CmdbPod[]
  #filter = ''
  #dcn = ''

  constructor(pods: readonly CmdbPod[]) {
    this.#pods = pods
  }

  /** The pods that pass filter and DCN, in their order; a number is a place in this list. */
  get shown(): readonly CmdbPod[] {
    const words = this.#filter.toLowerCase().split(/\s+/)
    return this.#pods.filter((pod) => (this.#dcn === '' || pod.dcn === this.#dcn) && words.every((word) => searchable(pod).includes(word)))
  }

  /** DCNs that there are. */
  get dcns(): readonly string[] {
    return [...new Set(this.#pods.map((pod) => pod.dcn).filter((dcn) => dcn !== ''))].sort()
  }

  get condition(): string {
    return [this.#dcn && `DCN ${this.#dcn}`, this.#filter && `"${this.#filter}"`].filter((part) => part !== '').join(', ')
  }

  /** A number chooses; "q" leaves; "d NAME" keeps one DCN, "d" all; "*" or nothing shows all again; else the text is a filter. */
  answer(line: string): MenuAnswer {
    const text = line.trim()
    if (/^(q|quit|exit)$/i.test(text)) return { kind: 'quit' }
    if (/^\d+$/.test(text)) return this.#numbered(Number(text))
    if (/^d(\s|$)/.test(text)) return this.#keepDcn(text.slice(1).trim())
    const before = this.#filter
    this.#filter = text === '*' ? '' : text
    if (text === '' || text === '*') this.#dcn = ''
    const { shown } = this
    if (shown.length === 0) {
      this.#filter = before
      return { kind: 'unclear', message: `nothing matches "${text}"` }
    }
    return shown.length === 1 && shown[0] && text !== '' && text !== '*' ? { kind: 'pod', pod: shown[0] } : { kind: 'show' }
  }

  #numbered(number: number): MenuAnswer {
    const pod = this.shown[number - 1]
    return pod ? { kind: 'pod', pod } : { kind: 'unclear', message: `there is no number ${number}: 1 to ${this.shown.length}` }
  }

  #keepDcn(name: string): MenuAnswer {
    const dcn = this.dcns.find((one) => one.toLowerCase() === name.toLowerCase())
    if (name !== '' && dcn === undefined) return { kind: 'unclear', message: `there is no DCN "${name}"; there are ${this.dcns.join(', ') || 'none'}` }
    this.#dcn = dcn ?? ''
    return { kind: 'show' }
  }
}

function searchable({ pod, namespace, cluster, subsystem, dcn, podIp, hostIp, node, state }: CmdbPod): string {
  return [pod, namespace, cluster, subsystem, dcn, podIp, hostIp, node, state].join(' ').toLowerCase()
}
