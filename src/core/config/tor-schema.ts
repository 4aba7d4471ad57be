/** The schemas of the settings `tor.*`. Imported lazily, with those of all other settings. */
import { isIP } from 'node:net';
import * as v from 'valibot';
import { SOCKET_PATH_BYTES_MAX } from './home.ts';
import { ROUTES, TOR_DAEMONS, type TorSettings } from './tor-settings.ts';

const LINES_MAX = 64;
/** A bridge line of today has up to about 500. */
const LINE_CHARS_MAX = 2000;

const PLACE = /^(?:\[([0-9a-fA-F:.]+)\]|([a-z0-9.]+)):\d{1,5}$/;
const UNIX = /^unix:\/./;

const isSocketPath = (text: string): boolean =>
  UNIX.test(text) && Buffer.byteLength(text) - 'unix:'.length <= SOCKET_PATH_BYTES_MAX;

/** O9: no names, which would be asked of a name server. tor/endpoint.ts says the same. */
function isTcpPlace(text: string): boolean {
  const [, six = '', four = ''] = PLACE.exec(text) ?? [];
  return isIP(six) === 6 || isIP(four) === 4 || four === 'localhost';
}

const ENDPOINT = 'expected ADDRESS:PORT, an IP address or localhost, or unix:/path';
const endpoint = v.pipe(
  v.string(ENDPOINT),
  v.check((text) => isTcpPlace(text) || isSocketPath(text), ENDPOINT),
);

const TARGET = 'expected auto, tcp or unix:/path';
const target = v.pipe(
  v.string(TARGET),
  v.check((text) => text === 'auto' || text === 'tcp' || isSocketPath(text), TARGET),
  v.regex(/^[\x21-\x7e]+$/, 'expected a path without spaces'),
);

const PATH = 'expected an absolute path';
const path = v.pipe(v.string(PATH), v.startsWith('/', PATH));

/** They go into a torrc: a line break, or a sign that joins lines, would begin another option. */
const LINES = 'expected a list of lines of a torrc, without their first word';
export const torrcLines = v.pipe(
  v.array(
    v.pipe(v.string(LINES), v.regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x5b\x5d-\x7e])?$/, LINES)),
    LINES,
  ),
  v.check((lines) => lines.every((line) => line.length <= LINE_CHARS_MAX), LINES),
  v.maxLength(LINES_MAX, `expected at most ${LINES_MAX} lines`),
);

const oneOf = <const T extends readonly [string, ...string[]]>(names: T) =>
  v.picklist(names, `expected ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`);

export const TOR_SCHEMAS = {
  'tor.route': oneOf(ROUTES),
  'tor.daemon': oneOf(TOR_DAEMONS),
  'tor.control': endpoint,
  'tor.socks': endpoint,
  'tor.passwordFile': path,
  'tor.binary': path,
  'tor.torrc': path,
  'tor.bridges': torrcLines,
  'tor.plugins': torrcLines,
  'tor.exits': oneOf(['auto', 'on', 'off']),
  'tor.clientAuth': oneOf(['on', 'off']),
  'tor.pow': oneOf(['on', 'off']),
  'tor.target': target,
} as const satisfies Record<keyof TorSettings, v.GenericSchema>;
