/** Lists that live in Redis, for admins: read with their version, changed only by who has read the newest. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { OpsError, toOpsError } from '../core/errors.js'
import { escapePeerText } from '../core/log.js'
import { roleSchema } from '../wire/api/common.js'
import { type AccountItem, type accountBody, addressesSchema } from '../wire/api/lists.js'
import type { ApiParts, Handlers, SharedListDoor } from './api-parts.js'

type Names =
  | 'getRuleList'
  | 'putRuleList'
  | 'checkRuleList'
  | 'getRule'
  | 'putRule'
  | 'deleteRule'
  | 'getAddresses'
  | 'putAddresses'
  | 'deleteAddresses'
  | 'getUserList'
  | 'getUser'
  | 'putUser'
  | 'deleteUser'

interface Asked {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

export function listHandlers({ lists }: Pick<ApiParts, 'lists'>): Required<Pick<Handlers, Names>> {
  const rules = (): SharedListDoor => lists.rules ?? elsewhere('rules')
  const users = (): SharedListDoor => lists.users ?? elsewhere('users')
  return {
    getRuleList: (call) => {
      const { list } = read(call, rules())
      return { version: rules().current.version, rules: list.map(mapOf), ...troubleOf(rules()) }
    },
    putRuleList: (call) => changed(call, rules(), (list, expected) => list.change(call.identity, () => call.body.rules, expected)),
    checkRuleList: ({ body }) => {
      const draft = body.rules ?? rules().current.list
      return { rules: draft.length, examples: draft.reduce<number>((sum, rule) => sum + examplesOf(rule), 0), mistakes: [...rules().check(draft)] }
    },
    getRule: (call) => {
      const { version } = read(call, rules())
      return { version, rule: mapOf(rules().find(call.params.name)) }
    },
    putRule: (call) => {
      const { name } = call.params
      if (call.body.rule.name !== name) throw new OpsError('BAD_REQUEST', 'two names', { detail: `the rule must have the name of its path, ${shown(name)}` })
      const { before } = call.query
      return changed(call, rules(), (list, expected) => list.put(call.identity, call.body.rule, { ...(before !== undefined && { before }), expected }))
    },
    deleteRule: (call) => changed(call, rules(), (list, expected) => list.remove(call.identity, call.params.name, expected)),
    getAddresses: (call) => {
      const { version } = read(call, rules())
      const { from } = z.looseObject({ from: addressesSchema.optional() }).parse(rules().find(call.params.name))
      return { version, ...(from && { from }) }
    },
    putAddresses: (call) =>
      changed(call, rules(), (list, expected) =>
        list.change(call.identity, (all) => edited(all, call.params.name, (rule) => ({ ...rule, from: call.body.from })), expected),
      ),
    deleteAddresses: (call) =>
      changed(call, rules(), (list, expected) =>
        list.change(call.identity, (all) => edited(all, call.params.name, ({ from: _from, ...rule }) => rule), expected),
      ),
    getUserList: (call) => {
      const { version, list } = read(call, users())
      return { version, users: list.map(accountOf), ...troubleOf(users()) }
    },
    getUser: (call) => {
      const { version } = read(call, users())
      return { version, user: accountOf(users().find(call.params.name)) }
    },
    putUser: (call) => {
      const { name } = call.params
      const isKnown = (list: readonly unknown[]): boolean => list.some((entry) => mapOf(entry).name === name)
      return changed(call, users(), (list, expected) =>
        list.change(call.identity, (all) => edited(isKnown(all) ? all : [...all, { name }], name, (account) => withChange(account, call.body)), expected),
      )
    },
    deleteUser: (call) => changed(call, users(), (list, expected) => list.remove(call.identity, call.params.name, expected)),
  }
}

type Entry = Readonly<Record<string, unknown>>

/** @throws OpsError NOT_FOUND */
function edited(list: readonly unknown[], name: string, change: (entry: Entry) => Entry): readonly unknown[] {
  const at = list.findIndex((entry) => mapOf(entry).name === name)
  if (at < 0) throw new OpsError('NOT_FOUND', `no entry "${shown(name)}"`, { detail: `nothing is called ${shown(name)}` })
  return list.with(at, change(mapOf(list[at])))
}

/** What is absent stays; a password of null goes. */
function withChange(account: Entry, { password, ...rest }: z.output<typeof accountBody>): Entry {
  const { password: before, ...others } = account
  const hash = password === undefined ? before : password
  const entry = { ...others, ...defined(rest) }
  return hash === undefined || hash === null ? entry : { ...entry, password: hash }
}

function read({ reply }: Asked, { current }: SharedListDoor): SharedListDoor['current'] {
  reply.header('etag', `"${current.version}"`)
  return current
}

/** Changes on the version that the caller has read. @throws OpsError BAD_REQUEST, CONFLICT, NOT_FOUND */
async function changed(
  { request, reply }: Asked,
  list: SharedListDoor,
  change: (list: SharedListDoor, expected: number | 'any') => Promise<SharedListDoor['current']>,
): Promise<{ version: number }> {
  try {
    const { version } = await change(list, expectedOf(request))
    reply.header('etag', `"${version}"`)
    return { version }
  } catch (thrown) {
    const error = toOpsError(thrown)
    // what is wrong is what was sent, not what this gateway runs by
    if (error.code === 'CONFIG_INVALID')
      throw new OpsError('BAD_REQUEST', error.message, { cause: error, ...(error.detail !== undefined && { detail: error.detail }) })
    throw error
  }
}

/** RFC 9110 s13.1.1; one tag, or "*". @throws OpsError BAD_REQUEST */
function expectedOf({ headers }: FastifyRequest): number | 'any' {
  const text = headers['if-match']?.trim()
  if (text === '*') return 'any'
  const version = /^"(\d{1,15})"$/.exec(text ?? '')?.[1]
  if (version === undefined) {
    const detail = 'send If-Match with the ETag that you have read, or * to change it whatever it is'
    throw new OpsError('BAD_REQUEST', 'no usable If-Match', { detail })
  }
  return Number(version)
}

/** Entries in force have been read by their schema; this only says so. */
function mapOf(entry: unknown): Record<string, unknown> {
  return z.record(z.string(), z.unknown()).parse(entry)
}

const storedAccount = z.object({
  name: z.string(),
  groups: z.array(z.string()).default([]),
  roles: z.array(roleSchema).default([]),
  password: z.string().optional(),
  keys: z.array(z.string()).default([]),
})

function accountOf(entry: unknown): AccountItem {
  const { password, ...account } = storedAccount.parse(entry)
  return { ...account, hasPassword: password !== undefined }
}

function examplesOf(rule: unknown): number {
  const lists = z.looseObject({ examples: z.record(z.string(), z.array(z.unknown())).optional() }).safeParse(rule)
  return lists.success ? Object.values(lists.data.examples ?? {}).reduce((sum, list) => sum + list.length, 0) : 0
}

function troubleOf({ trouble }: SharedListDoor): { trouble?: string } {
  return trouble === undefined ? {} : { trouble }
}

function defined(facts: Entry): Entry {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}

function shown(text: string): string {
  return escapePeerText(text, 100)
}

function elsewhere(name: string): never {
  throw new OpsError('NOT_FOUND', `the ${name} are not in Redis`, { detail: `the ${name} of this gateway are in its files, not in Redis` })
}
