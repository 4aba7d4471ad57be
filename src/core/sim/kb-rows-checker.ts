/**
 * W40, W41: the rows of the knowledge base on a disk are what its versions and roots make of them,
 * through all crashes: heads, logs and digests are those of a graph made anew of the versions, and
 * the accounts add up.
 */
import { rootKeyOf } from '../kb/accounts.ts';
import { KbStore, TABLES } from '../kb/store.ts';
import { VersionGraph } from '../kb/versions.ts';
import { openRecord } from '../model/merge.ts';
import { kbOf } from './kb-tie.ts';
import type { SimNode } from './node.ts';

/** Tables that follow from the versions alone, whatever the order in which they came. */
const DERIVED = [TABLES.paths, TABLES.heads, TABLES.authors, TABLES.digests];

/** What is wrong with the rows of a node, whose work is all durable. */
export function unsound(node: SimNode): string | undefined {
  const store = new KbStore();
  const none = Number.POSITIVE_INFINITY;
  const graph = new VersionGraph({ maxOrphans: none, maxOrphansPerAuthor: none }, store);
  const keyOf = (id: string) => node.world.node(id)?.identity.signer.publicKey;
  for (const { value } of node.disk.scan(TABLES.versions)) graph.add(openRecord(value, keyOf));
  const { name } = node.options;
  for (const table of DERIVED) {
    const fresh = [...store.under(table, '')].map(({ key, value }) => `${key} ${hex(value)}`);
    const rows = node.disk.scan(table).map(({ key, value }) => `${key} ${hex(value)}`);
    if (fresh.toSorted().join() !== rows.toSorted().join()) return `${name}: ${table} is wrong`;
  }
  return unbalanced(node);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function unbalanced(node: SimNode): string | undefined {
  const { replication } = kbOf(node)!;
  const { name } = node.options;
  let short = 0;
  for (const { cidText, version } of replication.graph.all()) {
    const key = `${rootKeyOf(version.root)}/${cidText}`;
    if (!node.disk.has(TABLES.replicas, key)) continue;
    const { placed } = replication.holders(version.root);
    const copies = replication.copies(cidText);
    const isConcerned = version.author === node.nodeId || placed.includes(node.nodeId);
    if (isConcerned && placed.some((nodeId) => !copies.includes(nodeId))) short += 1;
    for (const nodeId of placed) {
      const isOpen = node.disk.has(TABLES.unconfirmed, `${nodeId}/${key}`);
      const isDue = nodeId !== node.nodeId && copies.includes(node.nodeId);
      if (isOpen !== (isDue && !copies.includes(nodeId))) return `${name}: an offer is wrong`;
    }
  }
  const { underReplicated, wanted } = replication.backlog;
  if (short !== underReplicated) return `${name} counts ${underReplicated} short, not ${short}`;
  const waiting = node.disk.scan(TABLES.wanted).map(({ key }) => key);
  const queued = new Set(node.disk.scan(TABLES.queues).map(({ key }) => key.split('/')[1]));
  const isQueued = queued.size === wanted && waiting.every((root) => queued.has(root));
  if (waiting.length !== wanted || !isQueued) {
    return `${name} wants ${waiting.length} roots, and counts ${wanted}`;
  }
  return undefined;
}
