/** Rules in force, in their order, and a place to ask them. */
import type { ComponentChildren } from 'preact'
import { DOORS } from '../../core/types.js'
import type { RuleItem } from '../../wire/api/rules.js'
import { Answered, Empty } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { bytesText } from '../parts/text.js'
import { Badge, Peer } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'
import { RuleTest } from './rule-test.js'

export function RulesPage() {
  const { api } = useConsole()
  const rules = useLoad('rules', (signal) => api.listRules({ signal }))
  return (
    <>
      <PageHead title="Rules" lead="Read from the top: the first that matches decides, and what none matches is refused. Changed in their file, not here." />
      <div class="stack">
        <RuleTest />
        <Answered answer={rules}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon="rules" title="No rules">
                <p>Nobody may enter anything. Write some into the file of rules.</p>
              </Empty>
            ) : (
              <ol class="stack">
                {items.map((rule, index) => (
                  <Rule key={rule.name} rule={rule} number={index + 1} />
                ))}
              </ol>
            )
          }
        </Answered>
      </div>
    </>
  )
}

function Rule({ rule, number }: { readonly rule: RuleItem; readonly number: number }) {
  const { name, users, groups, where, doors, commands, files, record, message } = rule
  const rows: readonly (readonly [string, ComponentChildren])[] = [
    ['Who', <Names key="who" names={[...groups.map((group) => `group ${group}`), ...users]} />],
    ['Where', <Names key="where" names={where.map(placeText)} />],
    ['Doors', doors.length === DOORS.length ? 'all' : doors.join(', ')],
    ['Commands', commands && <Commands commands={commands} />],
    ['Files', files && `${files.upload ? 'upload' : 'no upload'}, ${files.download ? 'download' : 'no download'}`],
    ['Recording', record && recordText(record)],
    ['Message', message !== undefined && <Peer text={message} />],
  ]
  return (
    <li class="panel">
      <header>
        <h2>
          <span class="quiet">{number}.</span> <Peer text={name} />
        </h2>
        {commands && <Badge tone={commands.mode === 'allow' ? 'accent' : 'warn'}>{commands.mode === 'allow' ? 'only what is listed' : 'guard rail'}</Badge>}
      </header>
      <dl class="facts body">
        {rows
          .filter(([, value]) => value !== undefined && value !== false)
          .map(([label, value]) => (
            <>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </>
          ))}
      </dl>
    </li>
  )
}

function recordText({ input, maxBytes }: NonNullable<RuleItem['record']>): string {
  const parts = [input ? 'with the lines that are typed' : 'what the terminal shows', ...(maxBytes === undefined ? [] : [`up to ${bytesText(maxBytes)}`])]
  return parts.join(', ')
}

function Names({ names }: { readonly names: readonly string[] }) {
  return (
    <ul class="row wrap">
      {names.map((name) => (
        <li key={name}>
          <Badge>
            <Peer text={name} />
          </Badge>
        </li>
      ))}
    </ul>
  )
}

function Commands({ commands }: { readonly commands: NonNullable<RuleItem['commands']> }) {
  return (
    <span class="stack tight">
      <span class="quiet">{commands.mode === 'allow' ? 'Only these run:' : 'These are refused:'}</span>
      <Names names={commands.entries.map(({ cmd, flags, path }) => [cmd, ...flags.map((spellings) => `-${spellings.join('|')}`), ...path].join(' '))} />
    </span>
  )
}

function placeText({ cluster, namespace, pod, container, labels }: RuleItem['where'][number]): string {
  const one = (globs: readonly string[] | undefined) => (globs === undefined || globs.length === 0 ? '*' : globs.join(','))
  const names = Object.entries(labels ?? {}).map(([label, values]) => `${label}=${values.join(',')}`)
  return [`${one(cluster)}/${one(namespace)}/${one(pod)}/${one(container)}`, ...names].join(' ')
}
