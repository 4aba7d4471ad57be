/**
 * The way that a connection has taken, by the object that it has as its remote address: the same
 * text may have been dialled through an exit once and directly another time (O4, O7).
 */
import type { Multiaddr } from '@multiformats/multiaddr';

export type AddressClass = 'onion' | 'exit' | 'direct';

export class AddressClasses {
  readonly #classes = new WeakMap<Multiaddr, AddressClass>();

  /**
   * Marks an address that nobody else holds. What libp2p derives from it is marked, too: to the
   * address of a connection it adds the peer id that has turned up there.
   */
  mark(address: Multiaddr, kind: AddressClass): Multiaddr {
    const encapsulate = address.encapsulate.bind(address);
    address.encapsulate = (behind) => this.mark(encapsulate(behind), kind);
    this.#classes.set(address, kind);
    return address;
  }

  of(address: Multiaddr): AddressClass | undefined {
    return this.#classes.get(address);
  }
}
