/** What a file session's child is told, and what it answers. */

/** JSON in its first argument. Nothing in it is secret: arguments can be seen in /proc. */
export type FilesPlan =
  | { readonly kind: 'here'; readonly home: string }
  | {
      readonly kind: 'container'
      /** Host pid of the container's first process. */
      readonly pid: number
      readonly containerId: string
      /** Of the container's configuration, as `docker exec` takes it: "", "app", "1000", "1000:1000", "app:staff". */
      readonly user: string
      /** Group names or numbers added to the container (HostConfig.GroupAdd; a pod's fsGroup). */
      readonly groups: readonly string[]
      readonly workingDir: string
    }

/** One line of JSON on its standard output, before it serves. */
export type FilesAnswer =
  | {
      readonly ok: true
      readonly uid: number
      readonly gid: number
      /** Capabilities left, as in /proc/PID/status: "00000000a80425fb". */
      readonly capabilities: string
      /** Control groups of the container that it joined. */
      readonly joined: readonly string[]
    }
  | { readonly ok: false; readonly isGone: boolean; readonly reason: string }
/** Where the child has its end of the stream that speaks SFTP. */
export const SFTP_FD = 3
