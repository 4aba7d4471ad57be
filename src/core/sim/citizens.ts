/**
 * Members that write where not everybody may, give and take rights, anchor hashes and erase names
 * (docs/history.md, N, R4): much of it without the right to. What becomes of it is judged by the
 * model of the ledger checker; linearizability looks at other paths.
 */

import { sha256 } from '../crypto/hash.ts';
import type { Change } from '../model/intent.ts';
import { versionCidOf } from '../model/version.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';

const PATHS = ['town/hall', 'town/north/gate', 'town/north/mill/wheel', 'port/quay', 'fields'];
const NAMESPACES = ['town', 'town/north', 'town/north/mill', 'port', 'fields'];
const LABELS = ['ledger', 'model'];

/** What a citizen knows when it decides what to do. */
export interface CitizenView {
  readonly node: SimNode;
  heads(path: string): readonly { readonly version: ReturnType<typeof versionCidOf> }[];
  anchor(label: string): Uint8Array | undefined;
}

export function citizenChange(view: CitizenView, random: SimRandom): Change {
  const { node } = view;
  const fresh = sha256(random.bytes(16));
  const path = random.pick(PATHS)!;
  const move = (deleted: boolean): Change => ({
    path,
    version: versionCidOf(fresh),
    parents: view.heads(path).map(({ version }) => version),
    generation: 1,
    ...(deleted ? { deleted } : {}),
  });
  const someone = random.pick(node.world.nodes)!.nodeId;
  const namespace = random.pick(NAMESPACES)!;
  const right = random.pick(['owner', 'writer'] as const)!;
  const label = random.pick(LABELS)!;
  const kind = random.fraction();
  if (kind < 0.45) return move(false);
  if (kind < 0.6) return move(true);
  if (kind < 0.75) return { op: 'grant', path: namespace, nodeId: someone, right };
  if (kind < 0.82) return { op: 'revoke', path: namespace, nodeId: someone };
  if (kind < 0.9) return { op: 'erase', path };
  // At times it follows something else than the last one.
  const previous = random.chance(0.2) ? sha256(fresh) : view.anchor(label);
  return { op: 'anchor', label, digest: fresh, ...(previous === undefined ? {} : { previous }) };
}
