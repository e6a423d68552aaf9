/** What the configuration says of how evidence is kept, once it has been read. */

export interface RetentionConfig {
  /** What is older goes; absent: age removes nothing. */
  readonly maxAgeMs?: number
  /** Beyond it the oldest goes; absent: size removes nothing. */
  readonly maxBytes?: number
}
/** Where the last signed head is kept besides the log. */
export type AnchorConfig =
  | { readonly file: string }
  | { readonly redis: string; readonly key: string }
  | { readonly s3: Omit<S3Config, 'prefix'> & { readonly key: string } }

/** Who can read recordings. */
export interface EncryptionConfig {
  /** 32 bytes, 0600: the gateway reads with it what it recorded. */
  readonly keyFile?: string
  /** age1…: whoever holds the identity can read too; alone, the gateway itself cannot. */
  readonly recipients: readonly string[]
}
export interface S3Config {
  readonly bucket: string
  /** Default us-east-1. */
  readonly region: string
  /** Absent: Amazon's own. */
  readonly endpoint?: string
  /** Before each key. Default "". */
  readonly prefix: string
  /** Holds `{"accessKeyId": …, "secretAccessKey": …}`, 0600; absent: the usual places of the AWS SDK. */
  readonly credentialsFile?: string
}
