/**
 * The ssh2 that this gateway was written against: every file it loads, by hash. We use parts of ssh2 that it does not
 * promise to keep (its protocol object, its handler table) and change some of its sources while loading them, so a file
 * that is not byte for byte the one that was read and tested is refused.
 * To move to another version: read the differences of these files, check every edit of source-edits.ts, run test/ssh, then renew the hashes.
 */

export const SSH2_VERSION = '1.17.0'

/** Path below `ssh2/lib` -> SHA-256 of the file as published on npm. */
export const SSH2_FILES: Readonly<Record<string, string>> = {
  'Channel.js': '53e92988a025009b192b72be110bd240b5653f88dbdec93e515e3e401e7f94aa',
  'agent.js': 'cc6987488bf45f73e0ac5d8bbe59912b70a144cd73b53c83919f188f4cc3f2be',
  'client.js': 'edd3484daa9d942bc5a6412edc9cf11f85df40b2db10b07877bbfe694beac7f4',
  'server.js': '128b58ee54cf97a5ae17e18836ff4472de4a5e4e591f2862a5c9ec7f148befe5',
  'utils.js': 'bbae8286bc64b049499ce353e8dc4eefbbedefca8f50591432c1057276097aee',
  'protocol/Protocol.js': 'c1104b49087de7a91cd3ffaac8807c05eebf49f61effd084d0b0caf29fde6af4',
  'protocol/SFTP.js': '615871028340d9be98eb564ab6bdd021fe8ae44a4a25df928038e14e3bc5c201',
  'protocol/constants.js': 'a3894fdd8e294109b55f06fbda69e467741f15a250801b744b6b0487bbf32529',
  'protocol/crypto.js': 'a729d2064e787e2a4589c25a284444fe54a58b7434a4e6e5e8e9c73c6d91e28e',
  'protocol/handlers.js': 'b15f990134a4f69b7492d0b875d80d8c28228907045619b01ec30871ac711df9',
  'protocol/handlers.misc.js': '8927c504c3c338187f36f0304a3452d6396ec9fc907af3db2be46a5f175c36a1',
  'protocol/kex.js': '054ba4b81801596350f0e2e939746d2966297cffd4303b342c25b2fd5d295755',
  'protocol/keyParser.js': 'ba4f40a5a9edef15ff49a38226e2be2e66f75aa2673840dd18b807bb7943eca9',
  'protocol/node-fs-compat.js': 'd46a25cc158456c4a82b686ceed9a8267dc7d1bb69b6fd1d1f9b09d467951b4d',
  'protocol/utils.js': '402b39e75ede9e3dc99af5e8af008602546f35aa1472bd4232c06f606987f053',
  'protocol/zlib.js': '8cd9f4c1825cbc394ddf9cf076a5ba9195ec255db9e904182ae9c25a1036e2d6',
}
