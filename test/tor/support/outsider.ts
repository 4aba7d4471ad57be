/**
 * Somebody with a Tor of his own and whatever keys a test gives him, who speaks to an onion service
 * without being a node: what he gets is a socket, or the answer of Tor.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { systemClock } from '../../../src/core/node/clock.ts';
import { addClientKey, removeClientKey, signal } from '../../../src/core/tor/control/commands.ts';
import { TorLink } from '../../../src/core/tor/control/link.ts';
import { socksConnect } from '../../../src/core/tor/socks/connect.ts';
import { silent } from '../../e2e/support/liar.ts';
import { PATIENCE_MS } from './onions.ts';
import { SystemTor } from './system-tor.ts';

export class Outsider {
  readonly #tor: SystemTor;
  readonly #link: TorLink;

  constructor(dir: string, torrc: string) {
    this.#tor = new SystemTor(dir, torrc);
    this.#link = new TorLink(
      { endpoint: { path: this.#tor.controlPath }, auth: {} },
      { log: silent, clock: systemClock(), random: systemRandom },
    );
  }

  async start(): Promise<void> {
    await this.#tor.start();
    await this.#link.start();
  }

  async stop(): Promise<void> {
    await this.#link.stop();
    await this.#tor.kill();
  }

  /** From now on Tor asks with this client key; without one with none. */
  async use(address: string, secret?: Uint8Array): Promise<void> {
    if (secret === undefined) await removeClientKey(this.#link, address);
    else await addClientKey(this.#link, address, secret);
  }

  /** Tor forgets descriptors, client keys and circuits. */
  async forget(): Promise<void> {
    await signal(this.#link, 'NEWNYM');
  }

  /**
   * The same name shares a circuit with what it has opened before.
   * @throws {AegisError} what Tor says.
   */
  connect(address: string, name: string): Promise<Socket> {
    const isolation = { username: name, password: 'x' };
    const target = { proxy: { path: this.#tor.socksPath }, host: address, port: 4001, isolation };
    return socksConnect(target, { timeoutMs: PATIENCE_MS });
  }
}

/** Resolves when the other side, or Tor, has ended it. */
export async function ended(socket: Socket): Promise<void> {
  socket.on('error', () => {}).resume();
  if (!socket.closed) await once(socket, 'close');
}
