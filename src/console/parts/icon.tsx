/** Icons as paths of a 24 x 24 field. Decoration only: what they mean stands beside them, or in the label of their button. */
const PATHS = {
  sessions: 'M4 5h16v11H4zM8 20h8M12 16v4',
  audit: 'M5 4h14v16H5zM9 9h6M9 13h6M9 17h3',
  targets: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9',
  users: 'M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM3 20c0-3.3 2.7-6 6-6s6 2.7 6 6M16 4.5a3.5 3.5 0 010 6M18 14.5c1.8.9 3 2.9 3 5.5',
  rules: 'M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.500-7-10V6zM9 12l2 2 4-4',
  approvals: 'M4 12l5 5L20 6',
  health: 'M3 12h4l3-7 4 14 3-7h4',
  terminal: 'M4 5h16v14H4zM8 10l3 2.500-3 2.500M13 15h4',
  search: 'M11 18a7 7 0 100-14 7 7 0 000 14zM16 16l5 5',
  menu: 'M4 7h16M4 12h16M4 17h16',
  light: 'M12 16a4 4 0 100-8 4 4 0 000 8zM12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600L7 7M17 17l1.400 1.400M18.400 5.600L17 7M7 17l-1.400 1.400',
  dark: 'M20 14.500A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10.500z',
  auto: 'M12 4a8 8 0 100 16zM12 4a8 8 0 010 16',
  leave: 'M10 4H5v16h5M15 8l4 4-4 4M19 12H9',
  help: 'M9 9a3 3 0 116 0c0 2-3 2.500-3 4.500M12 17.500v.1',
  play: 'M7 5l12 7-12 7z',
  pause: 'M8 5v14M16 5v14',
  back: 'M15 6l-6 6 6 6',
  forward: 'M9 6l6 6-6 6',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 016 0v3',
  unlock: 'M6 11h12v9H6zM9 11V8a3 3 0 015.800-1',
  end: 'M7 7h10v10H7z',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  download: 'M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  warn: 'M12 4l9 16H3zM12 10v4M12 17v.1',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  close: 'M6 6l12 12M18 6L6 18',
} as const
export type IconName = keyof typeof PATHS

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  )
}
