/** How evidence is kept: size of log files, retention, anchors; encryption of recordings and where they go. */
import { z } from 'zod'
import { parseDuration } from '../core/units.js'
import type { EncryptionConfig, RetentionConfig, S3Config } from './evidence-values.js'
import { pathFrom, present, size, text } from './fields.js'

/** Longer than a timer can wait: nothing waits for it. */
const age = z.string('must be an age like 365d').transform((value, context) => {
  try {
    return parseDuration(value)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
})

export const retentionSchema = z
  .strictObject({ maxAge: age.refine((ms) => ms >= 3_600_000, 'must be at least 1h').exactOptional(), maxSize: size(2 ** 20).exactOptional() })
  .transform(({ maxAge, maxSize }): RetentionConfig => present({ maxAgeMs: maxAge, maxBytes: maxSize }))

export const recordingAgeSchema = age.refine((ms) => ms >= 3_600_000, 'must be at least 1h')

export const anchorSchema = (folder: string) =>
  z.union([
    z.strictObject({ file: pathFrom(folder) }),
    z.strictObject({
      redis: z.string().regex(/^(rediss?:\/\/[^\s/]+(\/\d{1,3})?|unix:\/\/\/\S+)$/, 'must be redis://HOST:PORT/DB, rediss://… or unix:///PATH'),
      key: text.max(200, 'must be at most 200 characters').default('dockin:audit:anchor'),
    }),
    z.strictObject({
      s3: z.strictObject({
        ...s3Place(folder),
        key: text.max(1024, 'must be at most 1024 characters').default('dockin/audit/head.json'),
      }),
    }),
  ])

const s3Place = (folder: string) => ({
  bucket: text,
  region: text.default('us-east-1'),
  endpoint: z.url('must be a URL').exactOptional(),
  credentialsFile: pathFrom(folder).exactOptional(),
})

export const encryptionSchema = (folder: string) =>
  z
    .strictObject({
      keyFile: pathFrom(folder).exactOptional(),
      recipients: z.array(z.string().regex(/^age1[0-9a-z]{58}$/, 'must be an age recipient: age1…')).default([]),
    })
    .refine(({ keyFile, recipients }) => keyFile !== undefined || recipients.length > 0, 'must have a keyFile or recipients')
    .transform((encryption): EncryptionConfig => encryption)

export const s3Schema = (folder: string) => z.strictObject({ ...s3Place(folder), prefix: z.string().default('') }).transform((s3): S3Config => s3)
