/**
 * What an object links to, whatever it is for: collection follows every link that anybody might
 * follow. The bytes have been checked against their name; what is no object of its codec has no
 * links, since nobody can walk through it either.
 */
import { decode as decodeCbor } from '@ipld/dag-cbor';
import { decode as decodePb } from '@ipld/dag-pb';
import { CID } from 'multiformats/cid';
import { DAG_PB, RAW } from '../kb/block.ts';

/** Multicodec of dag-cbor. */
const DAG_CBOR = 0x71;

/** Whether objects under this CID can have links at all. */
export const mayLink = ({ code }: CID): boolean => code !== RAW;

export function linksOf({ code }: CID, bytes: Uint8Array): CID[] {
  try {
    if (code === DAG_PB) return decodePb(bytes).Links.map(({ Hash }) => Hash);
    return code === DAG_CBOR ? cborLinks(decodeCbor(bytes)) : [];
  } catch {
    return [];
  }
}

function cborLinks(top: unknown): CID[] {
  const links: CID[] = [];
  const stack = [top];
  while (stack.length > 0) {
    const value = stack.pop();
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) continue;
    const cid = CID.asCID(value);
    if (cid === null) for (const part of Object.values(value)) stack.push(part);
    else links.push(cid);
  }
  return links;
}
