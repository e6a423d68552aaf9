/** What is changed in ssh2's sources while they load, and why. Each `find` must occur exactly once in its file. */

export interface SourceEdit {
  readonly why: string
  readonly find: string
  readonly replace: string
}

/** Name under which an edited source finds what the loader passes in (`Injected` in load.ts). */
export const INJECTED_NAME = 'dockin'
export const HYBRID_KEX_NAME = 'mlkem768x25519-sha256'

const SIGNATURE_ALGORITHMS = 'ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256'

export const SOURCE_EDITS: Readonly<Record<string, readonly SourceEdit[]>> = {
  'protocol/constants.js': [
    {
      why: 'offer the post-quantum exchange first; OpenSSH 10.1 warns every user whose server has none',
      find: 'const SUPPORTED_KEX = DEFAULT_KEX.concat([',
      replace: `DEFAULT_KEX.unshift('${HYBRID_KEX_NAME}');\nconst SUPPORTED_KEX = DEFAULT_KEX.concat([`,
    },
    {
      why: 'RFC 8160: OpenSSH sends IUTF8, which ssh2 does not know by name',
      find: '    IMAXBEL: 41,',
      replace: '    IUTF8: 42,\n    IMAXBEL: 41,',
    },
  ],
  'protocol/crypto.js': [
    {
      why: 'a line of an exec may be long; OpenSSH sends and takes packets of 256 KiB, and a longer one than this ended the connection without a word',
      find: 'const MAX_PACKET_SIZE = 35000;',
      replace: 'const MAX_PACKET_SIZE = 256 * 1024;',
    },
    {
      why: 'padding comes from a pool: a request to OpenSSL for each packet cost more than the packet',
      find: "  createCipheriv, createDecipheriv, createHmac, randomFillSync, timingSafeEqual\n} = require('crypto');",
      replace: `  createCipheriv, createDecipheriv, createHmac, timingSafeEqual\n} = require('crypto');\nconst randomFillSync = ${INJECTED_NAME}.paddingFiller();`,
    },
  ],
  'protocol/kex.js': [
    {
      why: 'the classes of exchanges are private to this function, so the new one must be made inside it',
      find: '  class ECDHExchange extends KeyExchange {',
      replace: `  const HybridExchange = ${INJECTED_NAME}.hybridExchange(Curve25519Exchange);\n\n  class ECDHExchange extends KeyExchange {`,
    },
    {
      why: 'choose it by name',
      find: "        case 'ecdh-sha2-nistp256':\n          return new ECDHExchange('prime256v1', 'sha256', ...args);",
      replace:
        `        case '${HYBRID_KEX_NAME}':\n          return new HybridExchange('sha256', ...args);\n` +
        "        case 'ecdh-sha2-nistp256':\n          return new ECDHExchange('prime256v1', 'sha256', ...args);",
    },
  ],
  'protocol/Protocol.js': [
    {
      why: 'server-sig-algs lacked a comma (ssh2 PR 1485), so rsa-sha2-512 was never offered, and it promised SHA-1 and DSA, which we refuse',
      find: "    'ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521'\n      + 'rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-dss';\n  if (eddsaSupported)",
      replace: `    '${SIGNATURE_ALGORITHMS}';\n  if (false)`,
    },
    {
      why: 'an identification line that came in three pieces or more was lost, because only the first piece was kept',
      find: '  if (!this._buffer)\n    this._buffer = bufferSlice(data, op);',
      replace: '  this._buffer = bufferSlice(data, op);',
    },
    {
      why: 'a disconnect must be able to say why (RFC 4253 s11.1 has a description; ssh2 always left it empty)',
      find: '  disconnect(reason) {\n    const pktLen = 1 + 4 + 4 + 4;',
      replace: "  disconnect(reason, text) {\n    text = Buffer.from(text || '');\n    const pktLen = 1 + 4 + 4 + text.length + 4;",
    },
    {
      why: 'as above: writes the description',
      find: '    packet.fill(0, p += 4, end);\n\n    this._debug && this._debug(`Outbound: Sending DISCONNECT',
      replace:
        '    packet.fill(0, p += 4, end);\n    writeUInt32BE(packet, text.length, p);\n    packet.set(text, p + 4);\n\n    this._debug && this._debug(`Outbound: Sending DISCONNECT',
    },
  ],
  'protocol/handlers.misc.js': [
    {
      why: 'the table of terminal modes by number was keyed by name, so every mode was unknown',
      find: '       .reduce((obj, [key, value]) => ({ ...obj, [key]: value }), {});',
      replace: '       .reduce((obj, [key, value]) => ({ ...obj, [value]: key }), {});',
    },
    {
      why: 'and the list was read from its second byte, a zero, which ended it at once: every client had no modes at all',
      find: '            bufferParser.init(modesBinary, 1);',
      replace: '            bufferParser.init(modesBinary, 0);',
    },
    {
      why: 'RFC 4254 s8: opcodes from 160 end the list; an unknown one below has a value and is skipped, it must not end the connection',
      find: '              if (opcode === TERMINAL_MODE.TTY_OP_END)\n                break;',
      replace: '              if (opcode === TERMINAL_MODE.TTY_OP_END || opcode >= 160)\n                break;',
    },
    {
      why: 'as above',
      find: '              if (opcode === undefined\n                  || name === undefined\n                  || value === undefined) {',
      replace: '              if (name === undefined && value !== undefined)\n                continue;\n              if (value === undefined) {',
    },
  ],
}
