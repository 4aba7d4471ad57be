/**
 * The settings `tor.*`: which route packets take, and which Tor carries them. Values only; what a
 * route means is in node/route.ts, and what Tor is asked in tor/.
 */

/** O1 */
export const ROUTES = ['off', 'prefer', 'require'] as const;
export type RouteMode = (typeof ROUTES)[number];

/** O8 */
export const TOR_DAEMONS = ['system', 'spawn'] as const;
export type TorDaemon = (typeof TOR_DAEMONS)[number];

export interface TorSettings {
  /** O1: what carries the packets of this node. @default 'off' */
  readonly 'tor.route': RouteMode;
  /** O8: a Tor that runs, or one of our own. @default 'system' */
  readonly 'tor.daemon': TorDaemon;
  /** Control port: `127.0.0.1:9051` or `unix:/path`. Looked for when it is not given. */
  readonly 'tor.control': string | undefined;
  /** SOCKS port: `127.0.0.1:9050` or `unix:/path`. Asked from Tor when it is not given. */
  readonly 'tor.socks': string | undefined;
  /** File with the password of the control port, for a Tor without a cookie. */
  readonly 'tor.passwordFile': string | undefined;
  /** The program `tor`, for one of our own. Looked for when it is not given. */
  readonly 'tor.binary': string | undefined;
  /** A torrc that is read after ours, for one of our own. */
  readonly 'tor.torrc': string | undefined;
  /** Bridge lines for one of our own. @default [] */
  readonly 'tor.bridges': readonly string[];
  /** `ClientTransportPlugin` lines for one of our own. @default [] */
  readonly 'tor.plugins': readonly string[];
  /** O5: whether addresses that are no onions are dialled through exits. @default 'auto' */
  readonly 'tor.exits': 'auto' | 'on' | 'off';
  /** O13: whether the descriptor is for members only. @default 'on' */
  readonly 'tor.clientAuth': 'on' | 'off';
  /** O20: proof of work before anybody reaches the service when it is flooded. @default 'off' */
  readonly 'tor.pow': 'on' | 'off';
  /**
   * Where Tor hands over what comes in: `auto`, `tcp` (a port of loopback) or `unix:/path`.
   * @default 'auto'
   */
  readonly 'tor.target': string;
}

export const DEFAULT_TOR: TorSettings = {
  'tor.route': 'off',
  'tor.daemon': 'system',
  'tor.control': undefined,
  'tor.socks': undefined,
  'tor.passwordFile': undefined,
  'tor.binary': undefined,
  'tor.torrc': undefined,
  'tor.bridges': [],
  'tor.plugins': [],
  'tor.exits': 'auto',
  'tor.clientAuth': 'on',
  'tor.pow': 'off',
  'tor.target': 'auto',
};
