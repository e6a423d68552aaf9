import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Identity, Target } from '../../src/core/types.js'
import { addressMistake, compileAddresses } from '../../src/policy/addresses.js'
import { createPolicy } from '../../src/policy/policy.js'
import { parseRules } from '../../src/policy/rules.js'

const WEB: Target = { cluster: 'a', namespace: 'shop', pod: 'web-0', container: 'web', uid: 'u', node: 'n', containerId: 'docker://1', labels: {} }
const from = (host: string): Identity => ({ user: 'bob', groups: [], roles: ['user'], method: 'publickey', from: { host, port: 1 } })

test('an address is on a list as itself or within a network, however it is written', () => {
  const isOn = compileAddresses(['192.0.2.7', '10.1.2.3/8', '2001:db8::/32'])
  for (const host of ['192.0.2.7', '::ffff:192.0.2.7', '::FFFF:10.9.9.9', '10.0.0.1', '2001:db8:1::1', '2001:0DB8::2']) assert.ok(isOn(host), host)
  for (const host of ['192.0.2.8', '11.0.0.1', '2001:db9::1', '', 'unix', '10.0.0.1.evil', '::1', 'localhost']) assert.ok(!isOn(host), host)
})
test('what is neither address nor network is a mistake', () => {
  for (const text of ['', 'host', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0/8', '10.0.0.0/', '::1/129', 'fe80::1%eth0', '*', '10.0.0.0/0x8'])
    assert.ok(addressMistake(text), text)
  for (const text of ['10.0.0.0/0', '::/0', '::1', '255.255.255.255/32']) assert.equal(addressMistake(text), undefined, text)
})
test('whatever is taken as a network can be compiled', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4Extended(), fc.ipV4(), fc.ipV6(), fc.string()), fc.integer({ min: -1, max: 200 }), (address, prefix) => {
      for (const text of [address, `${address}/${prefix}`]) if (addressMistake(text) === undefined) compileAddresses([text])('10.0.0.1')
    }),
  )
})
test('a rule with addresses is passed over for people from elsewhere, and a later one may match', () => {
  const who = { users: ['bob'] }
  const where = [{ cluster: '*' }]
  const policy = createPolicy(
    parseRules([
      { name: 'office', who, where, from: ['10.0.0.0/8'] },
      { name: 'home', who, where, from: ['192.0.2.0/24'], doors: ['shell'] },
    ]),
  )
  const rule = (host: string, door: 'shell' | 'exec') => {
    const verdict = policy.decide({ kind: 'open', identity: from(host), target: WEB, door })
    return verdict.allow ? verdict.rule : undefined
  }
  assert.deepEqual(
    [rule('10.1.1.1', 'exec'), rule('192.0.2.1', 'shell'), rule('192.0.2.1', 'exec'), rule('198.51.100.1', 'shell')],
    ['office', 'home', undefined, undefined],
  )
})
