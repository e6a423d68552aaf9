/** A CA with a certificate for a node and one for the gateway, made by openssl for one test run. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certs {
  readonly ca: Buffer
  readonly server: { readonly cert: Buffer; readonly key: Buffer }
  readonly client: { readonly cert: Buffer; readonly key: Buffer }
}

export function makeCerts(node: string): Certs {
  const dir = mkdtempSync(join(tmpdir(), 'dockin-certs-'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  const read = (name: string) => readFileSync(join(dir, name))
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const leaf = (name: string, extensions: string) => {
    writeFileSync(join(dir, `${name}.ext`), extensions)
    openssl('req', ...ec, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    )
    return { cert: read(`${name}.crt`), key: read(`${name}.key`) }
  }
  try {
    openssl('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test ca')
    const server = leaf('server', `subjectAltName=DNS:${node}\nextendedKeyUsage=serverAuth\n`)
    const client = leaf('client', 'extendedKeyUsage=clientAuth\n')
    return { ca: read('ca.crt'), server, client }
  } finally {
    rmSync(dir, { recursive: true })
  }
}
