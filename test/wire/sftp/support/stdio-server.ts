/** A program for `sftp -D`: the files of this machine, served on standard input and output. */
import { NodeFiles } from '../../../../agent/files/node-files.js'
import { serveSftp } from '../../../../src/wire/sftp/server.js'

const files = new NodeFiles({ via: 'stdio', home: Buffer.from(process.cwd()) })
await serveSftp({ readable: process.stdin, writable: process.stdout }, files, {}, new AbortController().signal)
