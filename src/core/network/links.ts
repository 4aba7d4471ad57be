/**
 * The connections of one peer, compared. A rotation of either side makes a connection better than
 * those of before (docs/keys.md, H5); both sides come to the same order, because each knows the
 * number of the other's key and the generation of its own. Pure; it ends nothing.
 */
import type { Connection } from '@libp2p/interface';
import type { HelloIdentity } from './hello.ts';
import type { AddressClass } from './transports.ts';

export interface Link {
  readonly connection: Connection;
  readonly identity: HelloIdentity;
  /** Of the swarm of this node that carries it. */
  readonly generation: number;
  /** O7 */
  readonly class: AddressClass;
}

/** Both ends are at least as new, and one of them is newer. */
export function outdates(a: Link, b: Link): boolean {
  const [ours, theirs] = [a.generation - b.generation, a.identity.keyNumber - b.identity.keyNumber];
  return ours >= 0 && theirs >= 0 && ours + theirs > 0;
}

export const isOpen = ({ connection }: Link): boolean => connection.status === 'open';

/** Whether an open link makes this one unnecessary. */
export const isOutdated = (link: Link, links: readonly Link[]): boolean =>
  links.some((other) => isOpen(other) && outdates(other, link));

/** The one to use: the newest of those that no other outdates. */
export function bestOf(links: readonly Link[]): Link | undefined {
  const open = links.filter(isOpen);
  return open.findLast((link) => !isOutdated(link, open));
}

/** With the very same keys at both ends. */
export const isTwin = (a: Link, b: Link): boolean =>
  a !== b && a.generation === b.generation && a.identity.keyNumber === b.identity.keyNumber;

/** Those of its twins, or itself, that end when a link is added: one of them stays (O4). */
export function losersOf(added: Link, links: readonly Link[]): readonly Link[] {
  const twins = links.filter((link) => isTwin(link, added));
  const isLess = added.class !== 'onion' && twins.some((link) => link.class === 'onion');
  if (!isLess) return twins;
  return [added, ...twins.filter((link) => link.class !== 'onion')];
}

/** Whether it still carries streams of these protocols, or such that have none yet. */
export const carries = ({ connection }: Link, protocols: ReadonlySet<string>): boolean =>
  connection.streams.some(
    ({ protocol, status }) => status === 'open' && (protocol === '' || protocols.has(protocol)),
  );
