/**
 * Key exchange `mlkem768x25519-sha256` (draft-ietf-sshm-mlkem-hybrid-kex, as OpenSSH 9.9 and later speak it).
 * Client share: ML-KEM-768 encapsulation key (1184 bytes), X25519 key (32). Server share: ciphertext (1088), X25519 key (32).
 * K = SHA-256(ML-KEM secret || X25519 secret), hashed as a string and not as an mpint.
 */
import { createHash, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'

const KEM_KEY_BYTES = 1184
const KEM_CIPHERTEXT_BYTES = 1088
const X25519_BYTES = 32
/** SubjectPublicKeyInfo of an X25519 key up to the 32 key bytes (RFC 8410). */
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex')

/** What one side sends, and the secret it ends up with. */
export interface HybridReply {
  readonly share: Buffer
  readonly secret: Buffer
}

/** Answers a client's share. @throws Error when the share has the wrong size or is not a valid key */
export function answerHybrid(clientShare: Uint8Array): HybridReply {
  if (clientShare.length !== KEM_KEY_BYTES + X25519_BYTES) throw new Error(`client share has ${clientShare.length} bytes`)
  const { cipherText, sharedSecret } = ml_kem768.encapsulate(clientShare.subarray(0, KEM_KEY_BYTES))
  const own = generateKeyPairSync('x25519')
  const secret = combine(sharedSecret, agree(own.privateKey, clientShare.subarray(KEM_KEY_BYTES)))
  return { share: Buffer.concat([cipherText, rawPublicKey(own.publicKey)]), secret }
}

/** The client's side: a share, and the way to the secret once the server has answered. */
export function startHybrid(): { readonly share: Buffer; finish(serverShare: Uint8Array): Buffer } {
  const kem = ml_kem768.keygen()
  const own = generateKeyPairSync('x25519')
  return {
    share: Buffer.concat([kem.publicKey, rawPublicKey(own.publicKey)]),
    finish(serverShare) {
      if (serverShare.length !== KEM_CIPHERTEXT_BYTES + X25519_BYTES) throw new Error(`server share has ${serverShare.length} bytes`)
      const kemSecret = ml_kem768.decapsulate(serverShare.subarray(0, KEM_CIPHERTEXT_BYTES), kem.secretKey)
      return combine(kemSecret, agree(own.privateKey, serverShare.subarray(KEM_CIPHERTEXT_BYTES)))
    },
  }
}

/** Throws on a point of low order: OpenSSL refuses to derive an all-zero secret. */
function agree(privateKey: KeyObject, peer: Uint8Array): Buffer {
  const publicKey = createPublicKey({ key: Buffer.concat([X25519_SPKI, peer]), type: 'spki', format: 'der' })
  return diffieHellman({ privateKey, publicKey })
}

function combine(kemSecret: Uint8Array, x25519Secret: Uint8Array): Buffer {
  return createHash('sha256').update(kemSecret).update(x25519Secret).digest()
}

function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' }).subarray(-X25519_BYTES)
}

/** What ssh2's exchange classes have that the new one relies on (kex.js, KeyExchange). */
export interface ExchangeBase {
  type: string
  readonly _protocol: { readonly _server: boolean }
}
type ExchangeClass = new (hashName: string, ...rest: never[]) => ExchangeBase

/** Makes the exchange as a subclass of ssh2's Curve25519Exchange, whose packets and transcript it keeps. */
export function hybridExchange(Base: ExchangeClass): ExchangeClass {
  return class HybridExchange extends Base {
    #share: Buffer | undefined
    #finish: ((serverShare: Uint8Array) => Buffer) | undefined
    override type = 'mlkem768x25519'

    /** ssh2 asks the server for its share only after computeSecret, when the answer exists. */
    getPublicKey(): Buffer {
      if (!this.#share && !this._protocol._server) {
        const { share, finish } = startHybrid()
        this.#share = share
        this.#finish = finish
      }
      if (!this.#share) throw new Error('the server share was asked for before the client had sent its own')
      return this.#share
    }

    /** Both shares enter the exchange hash as raw strings. */
    convertPublicKey(key: Buffer): Buffer {
      return key
    }

    /** ssh2 expects a failure as a value. */
    computeSecret(peerShare: Buffer): Buffer | Error {
      try {
        if (!this._protocol._server) {
          if (!this.#finish) throw new Error('the server answered before the client had sent its share')
          return this.#finish(peerShare)
        }
        const { share, secret } = answerHybrid(peerShare)
        this.#share = share
        return secret
      } catch (error) {
        return error instanceof Error ? error : new Error(String(error))
      }
    }
  }
}
