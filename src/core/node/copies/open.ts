/** The watch over copies of an engine, put together. It decides nothing. */
import type { CID } from 'multiformats/cid';
import { assert } from '../../assert.ts';
import type { Roster } from '../../chain/roster.ts';
import type { Settings } from '../../config/settings.ts';
import type { Hasher } from '../../ports.ts';
import type { Fetcher } from '../fetcher.ts';
import { Copies, type CopiesDeps } from './copies.ts';

type Given = 'machine' | 'content' | 'host' | 'reader' | 'clock' | 'log' | 'metrics' | 'submit';

export interface CopiesParts extends Pick<CopiesDeps, Given | 'incomplete'> {
  readonly hashers: readonly Hasher[];
  readonly roster: Pick<Roster, 'get'>;
  readonly fetcher: Pick<Fetcher, 'fetch'>;
}

export function makeCopies(
  options: { readonly self: string; readonly settings: Settings },
  { hashers, roster, fetcher, ...parts }: CopiesParts,
): Copies {
  const blake3 = hashers.find(({ name }) => name === 'blake3');
  assert(blake3 !== undefined, 'there is a hasher for BLAKE3');
  return new Copies(options, {
    ...parts,
    blake3,
    nameOf: (nodeId) => roster.get(nodeId)?.name ?? null,
    restore: async (object: CID) => {
      const sources = parts.host.peers().map(({ nodeId }) => nodeId);
      await fetcher.fetch({ root: object, sources });
    },
  });
}
