/** Users as the directory holds them. */
import { Link } from 'wouter-preact'
import { Answered, Empty } from '../parts/messages.js'
import { PageHead } from '../parts/page.js'
import { Badge, Peer } from '../parts/values.js'
import { useConsole } from '../state/console.js'
import { useLoad } from '../state/load.js'

export function UsersPage() {
  const { api } = useConsole()
  const users = useLoad('users', (signal) => api.listUsers({ signal }))
  return (
    <>
      <PageHead title="Users" lead="As the file of users says; changed there, not here." />
      <section class="panel users" aria-label="Users">
        <Answered answer={users}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon="users" title="No users" />
            ) : (
              <ul class="rows">
                {items.map(({ name, groups, roles, hasPassword, keys }) => (
                  <li key={name} class="line">
                    <strong class="cut">
                      <Peer text={name} />
                    </strong>
                    <span class="row wrap">
                      {roles.map((role) => (
                        <Badge key={role} tone={role === 'user' ? 'none' : 'accent'}>
                          {role}
                        </Badge>
                      ))}
                    </span>
                    <span class="quiet cut">{groups.length > 0 ? groups.join(', ') : 'no group'}</span>
                    <span class="stack tight keys">
                      {hasPassword && <span class="quiet small">password</span>}
                      {keys.map(({ type, fingerprint, comment }) => (
                        <span key={fingerprint} class="quiet small cut" title={`${type} ${fingerprint}`}>
                          {type} <code>{fingerprint}</code> {comment !== undefined && <Peer text={comment} />}
                        </span>
                      ))}
                      {!hasPassword && keys.length === 0 && <span class="quiet small">cannot log in</span>}
                    </span>
                    <span class="end">
                      <Link class="button plain" href={`/sessions?user=${encodeURIComponent(name)}`} aria-label={`Sessions of ${name}`}>
                        Sessions
                      </Link>
                    </span>
                  </li>
                ))}
              </ul>
            )
          }
        </Answered>
      </section>
    </>
  )
}
