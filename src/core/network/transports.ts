/**
 * The transports that a host is given, and nothing beside them: what is not handed in does not
 * exist in the process (docs/tor.md, O1). It decides no route, and knows Tor by class names only.
 */
import type { Transport } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import type { Multiaddr } from '@multiformats/multiaddr';
import { silentLogger } from '../silent-logger.ts';
import { MINUTE } from '../units.ts';
import { type Door, guardListeners } from './door.ts';

/** O7: how a connection goes. Time-outs, heartbeats and places go by it. */
export type AddressClass = 'onion' | 'exit' | 'direct';

/** Makes the one transport of its kind that a host has between two changes of route. */
export type MakeTransport = (parts: {
  /** Asked at each accepted connection; what comes through an onion service is called `onion`. */
  readonly door: Pick<Door, 'admits'>;
}) => Transport & {
  /**
   * How this transport dials an address, or has dialled it; undefined: it does not.
   * @default by the address: `onion` for /onion3, else `direct`
   */
  classOf?(address: Multiaddr): AddressClass | undefined;
};

/** Longer than any pause of a healthy connection: the heartbeat decides, not the socket. */
const SOCKET_IDLE_MS = 10 * MINUTE;

/** Direct connections. */
export const tcpTransport: MakeTransport = ({ door }) =>
  guardListeners(
    tcp({
      inboundSocketInactivityTimeout: SOCKET_IDLE_MS,
      outboundSocketInactivityTimeout: SOCKET_IDLE_MS,
    })({ logger: silentLogger() }),
    door,
  );
