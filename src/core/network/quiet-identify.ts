/**
 * Identify that tells nobody at which address it was seen (docs/tor.md, O2), and runs when it is
 * asked to, not at each connection: a lane is none that talks (O11). What else libp2p exchanges in
 * it is as ever.
 */
import { type Identify, type IdentifyComponents, identify } from '@libp2p/identify';
import type { Connection, StreamHandler } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { assert } from '../assert.ts';

/** Identify tells IP addresses and names only. */
const NOWHERE = multiaddr('/memory/somewhere');

export const quietIdentify =
  ({ timeoutMs }: { readonly timeoutMs: number }) =>
  (components: IdentifyComponents): Identify => {
    const service = identify({ runOnConnectionOpen: false, timeout: timeoutMs })(components);
    // What we know of the service of @libp2p/identify; its version is pinned.
    const inner = service as { handleProtocol?: StreamHandler };
    const handle = inner.handleProtocol;
    assert(handle !== undefined, '@libp2p/identify answers by its handleProtocol');
    inner.handleProtocol = (stream, connection) =>
      handle(stream, Object.create(connection, { remoteAddr: { value: NOWHERE } }) as Connection);
    return service;
  };
