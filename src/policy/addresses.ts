/** From where people come: lists of addresses and networks that stand beside a rule. */
import { BlockList, isIP } from 'node:net'

/** Whether an address is on the list. */
export type AddressList = (host: string) => boolean

/** Why a text is neither an address nor a network ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"); undefined when it is one. */
export function addressMistake(text: string): string | undefined {
  const [address = '', prefix, ...rest] = text.split('/')
  const version = isIP(address)
  const bits = prefix === undefined ? 0 : Number(prefix)
  const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && bits <= (version === 4 ? 32 : 128))
  return version !== 0 && isPrefix && rest.length === 0 && !address.includes('%') ? undefined : 'must be an address or a network, like 192.0.2.7 or 10.0.0.0/8'
}

/**
 * @param list entries without a mistake
 * @returns answers no for what is no address, such as a unix socket's peer; an IPv4 address counts as itself in IPv6's clothes too
 */
export function compileAddresses(list: readonly string[]): AddressList {
  const known = new BlockList()
  for (const text of list) {
    const [address = '', prefix] = text.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) known.addAddress(address, family)
    else known.addSubnet(address, Number(prefix), family)
  }
  return (host) => {
    const bare = host.replace(/%.*$/, '')
    const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1] ?? bare
    const version = isIP(address)
    return version !== 0 && known.check(address, version === 6 ? 'ipv6' : 'ipv4')
  }
}
