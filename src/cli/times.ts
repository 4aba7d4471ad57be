/** The expiries of keys, as outputs tell them. */
import type { KeyTimes } from '../core/model/succession.ts';

const iso = (atMs: number): string => new Date(atMs).toISOString();

export const timesOf = ({ identity, network, consensus, onion }: KeyTimes) => ({
  identity: iso(identity),
  network: iso(network),
  consensus: iso(consensus),
  onion: iso(onion),
});
