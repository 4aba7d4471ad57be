/**
 * Which transports and listeners exist by the route, and what a route refuses before anything is
 * opened (docs/tor.md, O1 to O5). It opens nothing; who carries a change out is routing.ts.
 */
import type { Settings } from '../config/settings.ts';
import type { RouteMode } from '../config/tor-settings.ts';
import { TIMING_DEFAULT, type Timing } from '../consensus/types.ts';
import { AegisError } from '../errors.ts';
import type { Profile } from '../network/limits.ts';
import type { PeerConnection } from '../network/peer.ts';
import { SECOND } from '../units.ts';

export interface Route {
  readonly mode: RouteMode;
  /** Whether Tor carries anything. */
  readonly usesTor: boolean;
  /** O1: whether there is a TCP transport in the process. */
  readonly usesTcp: boolean;
  /** O5 */
  readonly usesExits: boolean;
  /** O2: where the node listens itself, beside its onion service. */
  readonly listen: readonly string[];
  readonly profile: Profile;
}

type RouteSettings = Pick<Settings, 'tor.exits' | 'node.listen' | 'api.listen'>;

const LOOPBACK = /^\/ip(4\/127\.|6\/::1\/)/;

export function routeOf(mode: RouteMode, settings: RouteSettings): Route {
  const usesTcp = mode !== 'require';
  const listen = usesTcp ? settings['node.listen'] : [];
  const exits = settings['tor.exits'];
  return {
    mode,
    usesTor: mode !== 'off',
    usesTcp,
    // O5
    usesExits: mode !== 'off' && (exits === 'on' || (exits === 'auto' && mode === 'prefer')),
    listen,
    // Nodes of one machine share its loopback address, so nothing can be counted per address.
    profile: listen.every((address) => LOOPBACK.test(address)) ? 'loopback' : 'network',
  };
}

/** O2. @throws {AegisError} `BAD_CONFIG` naming the setting. */
export function checkRoute(mode: RouteMode, settings: RouteSettings): void {
  if (mode !== 'require') return;
  const open = settings['node.listen'].find((address) => !LOOPBACK.test(address));
  if (open !== undefined) throw openListener('node.listen', open);
  const api = settings['api.listen'];
  if (api !== undefined && !isLoopbackHost(api)) throw openListener('api.listen', api);
}

const isLoopbackHost = (listen: string): boolean =>
  /^(127\.[\d.]+|localhost|\[::1\]):\d+$/.test(listen);

const openListener = (key: keyof Settings, value: string): AegisError =>
  new AegisError('BAD_CONFIG', `the route is require, and ${key} is ${value}: not on loopback`, {
    hint: `Take it away (aegis config unset ${key}), or choose another route (tor.route).`,
    details: { key },
  });

/** O24: consensus measures what messages take and adapts; this is for what it has not measured. */
const SLOWER = 10;

const TOR_TIMING: Partial<Timing> = {
  firstMs: TIMING_DEFAULT.firstMs * SLOWER,
  minMs: TIMING_DEFAULT.minMs * SLOWER,
  // A connection that is lost may be one circuit of many, and be there again in a second.
  leaderLostMs: TIMING_DEFAULT.leaderLostMs * SLOWER,
  repeatMs: 5 * SECOND,
};

/** O24: what consensus begins with. When the route changes it goes on with what it measures. */
export const timingOf = (mode: RouteMode): { readonly timing?: Partial<Timing> } =>
  mode === 'off' ? {} : { timing: TOR_TIMING };

const SYNC_MS = 3 * SECOND;
/** Many blocks, through one circuit. */
const TOR_SYNC_MS = 30 * SECOND;

/** O24: so long a peer may take to send what the chain asks it for. */
export const syncMsOf = (mode: RouteMode): number => (mode === 'off' ? SYNC_MS : TOR_SYNC_MS);

/** O24: answers take longer by so much. */
const SLOWER_ANSWERS = 5;

/** O24: how long a peer may take to answer, by the class of its connection. */
export const answerMsOf = (
  connection: Pick<PeerConnection, 'class'> | undefined,
  directMs: number,
): number =>
  connection === undefined || connection.class === 'direct' ? directMs : directMs * SLOWER_ANSWERS;
