/**
 * Who may write where (docs/history.md, N1 to N3), and how that changes. A function of the
 * namespaces and of who asks; whoever asks is a member, which is for others to see to.
 */
import type { Grant, Revoke } from '../model/change.ts';
import { NAMESPACE_OWNERS_MAX, NAMESPACE_WRITERS_MAX } from '../model/proposed-change.ts';
import type { ReadMap } from './draft-map.ts';
import { LIMITS } from './limits.ts';
import type { Namespace, ReadRegisters } from './registers.ts';

type Namespaces = ReadMap<Namespace>;

/** The namespaces around a path, the deepest first. A namespace is around its own path. */
function* namespacesAround(namespaces: Namespaces, path: string): Generator<Namespace> {
  if (namespaces.size === 0) return;
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    const found = namespaces.get(at);
    if (found !== undefined) yield found;
  }
}

/** N1: the one that decides who may write there. */
export function namespaceOf(namespaces: Namespaces, path: string): Namespace | undefined {
  for (const found of namespacesAround(namespaces, path)) return found;
  return undefined;
}

/** N1, of a member. */
export function mayWrite(
  { namespaces, parameters }: Pick<ReadRegisters, 'namespaces' | 'parameters'>,
  nodeId: string,
  path: string,
): boolean {
  const found = namespaceOf(namespaces, path);
  if (found === undefined) return parameters.openWrites !== 0;
  return found.owners.includes(nodeId) || found.writers.includes(nodeId);
}

/** N4, of a member. */
export function mayErase(namespaces: Namespaces, nodeId: string, path: string): boolean {
  return namespaceOf(namespaces, path) === undefined || mayGrant(namespaces, nodeId, path);
}

/** N2: whether a node owns a namespace around the path. */
export function mayGrant(namespaces: Namespaces, nodeId: string, path: string): boolean {
  for (const { owners } of namespacesAround(namespaces, path)) {
    if (owners.includes(nodeId)) return true;
  }
  return false;
}

const within = (list: readonly string[], nodeId: string): string[] =>
  [...new Set([...list, nodeId])].toSorted();
const without = (list: readonly string[], nodeId: string): string[] =>
  list.filter((one) => one !== nodeId);

/** N2: whether the last owner of a namespace goes, and whoever asks owns none around it. */
function isLastOwner(
  namespaces: Namespaces,
  author: string,
  before: Namespace,
  owners: readonly string[],
): boolean {
  if (before.owners.length === 0 || owners.length > 0) return false;
  const { path } = before;
  return !mayGrant(namespaces, author, path.slice(0, Math.max(0, path.lastIndexOf('/'))));
}

/**
 * The namespace after a grant by an owner of it or of one around it; the same object when nothing
 * changes; or why not. Where there is none one begins, and has an owner from the start (N2).
 */
export function granted(
  namespaces: Namespaces,
  author: string,
  { path, nodeId, right }: Grant,
): Namespace | 'over-quota' | 'not-allowed' {
  const before = namespaces.get(path);
  if (before === undefined && namespaces.size >= LIMITS.namespaces) return 'over-quota';
  const from = before ?? { path, owners: [author], writers: [] };
  if (before === undefined && right === 'owner') return { path, owners: [nodeId], writers: [] };
  const isSo = (right === 'owner' ? from.owners : from.writers).includes(nodeId);
  // Who makes a namespace by its first writer owns it, and does not lose that by naming itself.
  if (isSo || (before === undefined && nodeId === author)) return from;
  const [owners, writers] = [without(from.owners, nodeId), without(from.writers, nodeId)];
  const after =
    right === 'owner'
      ? { path, owners: within(owners, nodeId), writers }
      : { path, owners, writers: within(writers, nodeId) };
  if (isLastOwner(namespaces, author, from, after.owners)) return 'not-allowed';
  const isFull =
    after.owners.length > NAMESPACE_OWNERS_MAX || after.writers.length > NAMESPACE_WRITERS_MAX;
  return isFull ? 'over-quota' : after;
}

/**
 * The namespace after a revocation; the same object when nothing changes; `ended`: nobody is left
 * in it; or why not.
 */
export function revoked(
  namespaces: Namespaces,
  author: string,
  before: Namespace,
  { path, nodeId }: Revoke,
): Namespace | 'ended' | 'not-allowed' {
  const after = {
    path,
    owners: without(before.owners, nodeId),
    writers: without(before.writers, nodeId),
  };
  const count = after.owners.length + after.writers.length;
  if (count === before.owners.length + before.writers.length) return before;
  if (isLastOwner(namespaces, author, before, after.owners)) return 'not-allowed';
  return count === 0 ? 'ended' : after;
}
