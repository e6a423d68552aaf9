/** The sections of opserver.yaml and their defaults; values.ts says what each key means. */
import { z } from 'zod'
import { DEFAULT_LOGIN_LIMITS, type LoginLimits } from '../identity/login.js'
import { anchorSchema, encryptionSchema, recordingAgeSchema, retentionSchema, s3Schema } from './evidence.js'
import { count, duration, listenAddress, pathFrom, present, size, text } from './fields.js'
import type { AuditConfig, HttpConfig, RecordingConfig, SshConfig } from './values.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

export const sshSchema = (folder: string) =>
  z
    .strictObject({
      listen: listenAddress.default({ host: '127.0.0.1', port: 2222 }),
      hostKeys: z.array(pathFrom(folder)).min(1, 'must name at least one file').prefault(['keys/ssh_host_ed25519_key', 'keys/ssh_host_ecdsa_key']),
      banner: text.max(8192, 'must be at most 8192 characters').exactOptional(),
      maxConnections: count(1).default(4000),
      maxConnectionsPerAddress: count(1).default(64),
      maxAuthAttempts: count(1, 100).default(6),
      loginGraceTime: duration(1000).default(2 * MINUTE_MS),
      keepaliveInterval: duration(1000).default(30_000),
      keepaliveCountMax: count(1, 1000).default(3),
      idleTimeout: duration(1000).exactOptional(),
      maxSessionTime: duration(1000).exactOptional(),
      // below this a gateway would spend its time on key exchanges
      rekeyBytes: size(2 ** 20).default(2 ** 30),
      rekeyInterval: duration(MINUTE_MS).default(HOUR_MS),
    })
    .prefault({})
    .transform(
      ({ loginGraceTime, keepaliveInterval, idleTimeout, maxSessionTime, rekeyInterval, ...same }): SshConfig =>
        present({
          ...same,
          loginGraceTimeMs: loginGraceTime,
          keepaliveIntervalMs: keepaliveInterval,
          idleTimeoutMs: idleTimeout,
          maxSessionTimeMs: maxSessionTime,
          rekeyIntervalMs: rekeyInterval,
        }),
    )

export const httpSchema = (folder: string) =>
  z
    .strictObject({
      listen: listenAddress.default({ host: '127.0.0.1', port: 8080 }),
      tls: z.strictObject({ cert: pathFrom(folder), key: pathFrom(folder) }).exactOptional(),
      tokenLifetime: duration(MINUTE_MS).default(8 * HOUR_MS),
      origins: z.array(z.string().regex(/^https?:\/\/[^/\s]+$/, 'must be an origin like https://ops.example.org')).default([]),
      exec: z.strictObject({ perUser: count(1).default(256), total: count(1).default(2000) }).prefault({}),
    })
    .prefault({})
    .transform(({ tokenLifetime, ...same }): HttpConfig => ({ ...same, tokenLifetimeMs: tokenLifetime }))

const onFailure = z.enum(['refuse', 'continue']).default('refuse')

/** What ioredis takes; a password in it is fine, and one more reason to keep the file to oneself. */
export const redisUrl = z.string().regex(/^(rediss?:\/\/[^\s/]+(\/\d{1,3})?|unix:\/\/\/\S+)$/, 'must be redis://HOST:PORT/DB, rediss://… or unix:///PATH')
/** `rules: {redis: URL, seed: FILE or a list}`, and `users` alike; the seed is read like any other list. */
export const listStoreSchema = z.strictObject({ redis: redisUrl, seed: z.union([z.string(), z.array(z.unknown())]).exactOptional() })
const auditStore = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('file') }),
    z.strictObject({ type: z.literal('redis'), url: redisUrl, stream: text.max(200, 'must be at most 200 characters').default('dockin:audit') }),
  ],
  'must have a type: file or redis',
)
export const auditSchema = (folder: string) =>
  z
    .strictObject({
      stores: z
        .array(auditStore)
        .min(1, 'must hold at least one store')
        .refine((stores) => stores.filter(({ type }) => type === 'file').length <= 1, 'must not hold two file stores: they would share one folder')
        .default([{ type: 'file' }]),
      onFailure,
      maxFileSize: size(2 ** 20).default(256 * 2 ** 20),
      retention: retentionSchema.exactOptional(),
      anchor: anchorSchema(folder).exactOptional(),
    })
    .prefault({})
    .transform(({ maxFileSize, ...same }): AuditConfig => ({ ...same, maxFileBytes: maxFileSize }))

export const recordingSchema = (folder: string) =>
  z
    .strictObject({
      onFailure,
      maxBytes: size(2 ** 10).exactOptional(),
      execMaxBytes: size(0).default(2 ** 20),
      maxAge: recordingAgeSchema.exactOptional(),
      encryption: encryptionSchema(folder).exactOptional(),
      s3: s3Schema(folder).exactOptional(),
    })
    .prefault({})
    .transform(({ maxAge, ...same }): RecordingConfig => present({ ...same, maxAgeMs: maxAge }))

export const agentAuthSchema = (folder: string) => z.strictObject({ ca: pathFrom(folder), cert: pathFrom(folder), key: pathFrom(folder) })

const login = DEFAULT_LOGIN_LIMITS
export const loginSchema = z
  .strictObject({
    userFreeFailures: count(0).default(login.userFreeFailures),
    userLockAfter: count(1).default(login.userLockAfter),
    userLockAfterEverywhere: count(1).default(login.userLockAfterEverywhere),
    addressFreeFailures: count(0).default(login.addressFreeFailures),
    addressLockAfter: count(1).default(login.addressLockAfter),
    firstDelay: duration().default(login.firstDelayMs),
    maxDelay: duration().default(login.maxDelayMs),
    window: duration().default(login.windowMs),
    lockFor: duration().default(login.lockMs),
    maxTracked: count(100).default(login.maxTracked),
    concurrentHashes: count(1, 64).default(login.concurrentHashes),
    maxPendingPerAddress: count(1).default(login.maxPendingPerAddress),
    maxPending: count(1).default(login.maxPending),
  })
  .prefault({})
  .transform(
    ({ firstDelay, maxDelay, window, lockFor, ...same }): LoginLimits => ({
      ...same,
      firstDelayMs: firstDelay,
      maxDelayMs: maxDelay,
      windowMs: window,
      lockMs: lockFor,
    }),
  )

/** Beside the sections: what stands at the top of the file by itself. */
export const dataDirSchema = (folder: string) => pathFrom(folder).prefault('data')
export const drainTimeoutSchema = duration().default(30_000)
export const logLevelSchema = z.enum(['debug', 'info', 'warn', 'error']).default('info')
