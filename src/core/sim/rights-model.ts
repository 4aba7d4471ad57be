/**
 * Who may write where, and how much (docs/history.md, N, Q, R4), as the simulator works it out by
 * itself, without a line of `chain/`. It judges an intent as a whole; what moves do to heads is for
 * `register.ts`.
 */
import { unreachable } from '../assert.ts';
import type { Change } from '../model/intent.ts';
import { HOUR } from '../units.ts';

interface Namespace {
  readonly owners: ReadonlySet<string>;
  readonly writers: ReadonlySet<string>;
}

interface Usage {
  readonly hour: number;
  readonly changes: number;
  readonly bytes: number;
  readonly paths: number;
}

interface Quota {
  readonly changesPerHour: number | null;
  readonly bytesPerHour: number | null;
  readonly paths: number | null;
}

/** What the model needs to know of the members, as they were before the block. */
export interface RightsContext {
  /** By which the block is executed. */
  version(): number;
  isCustodian(nodeId: string): boolean;
  isMember(nodeId: string): boolean;
}

/** Why an intent is refused: what would be broken if it were not. */
export type Refusal = 'rights' | 'quota' | 'upgrade' | 'anchor' | 'erasure';

const ANCHORS_SINCE = 2;

export class Rights {
  readonly #context: RightsContext;
  #namespaces = new Map<string, Namespace>();
  readonly parameters = new Map<string, number>();
  readonly quotas = new Map<string, Quota>();
  readonly #usage = new Map<string, Usage>();
  /** By author and label: the digest, and the one before it. */
  readonly #anchors = new Map<string, readonly [string, string]>();
  readonly refused: Record<Refusal, number> = {
    rights: 0,
    quota: 0,
    upgrade: 0,
    anchor: 0,
    erasure: 0,
  };

  constructor(context: RightsContext) {
    this.#context = context;
  }

  /** @returns how to go back to what is now; what intents did is not taken back. */
  save(): () => void {
    const namespaces = new Map(this.#namespaces);
    const [parameters, quotas] = [new Map(this.parameters), new Map(this.quotas)];
    return () => {
      this.#namespaces = namespaces;
      restore(this.parameters, parameters);
      restore(this.quotas, quotas);
    };
  }

  found(path: string, owners: readonly string[], writers: readonly string[]): void {
    this.#namespaces.set(path, { owners: new Set(owners), writers: new Set(writers) });
  }

  /** N1. */
  mayWrite(author: string, path: string): boolean {
    const [nearest] = this.#around(path);
    if (nearest === undefined) return this.parameters.get('openWrites') !== 0;
    return nearest.owners.has(author) || nearest.writers.has(author);
  }

  /** N2: it owns a namespace around the path. */
  owns(author: string, path: string): boolean {
    return this.#around(path).some(({ owners }) => owners.has(author));
  }

  /**
   * N3, by the rights before the intent; a refused change leaves everything as it is. One intent
   * changes rights once.
   */
  judge(author: string, change: Change, headsAreDeleted: (path: string) => boolean | undefined) {
    const refusal = this.#refusalOf(author, change, headsAreDeleted);
    if (refusal !== undefined) this.refused[refusal] += 1;
    return refusal;
  }

  /** What a change that is not refused does, beside moves. */
  apply(author: string, change: Change): void {
    if (change.op === 'grant') this.#grant(author, change.path, change.nodeId, change.right);
    if (change.op === 'revoke') this.#revoke(change.path, change.nodeId);
    if (change.op === 'anchor') {
      const { label, digest, previous } = change;
      this.#anchors.set(`${author} ${label}`, [textOf(digest), textOf(previous)]);
    }
  }

  /** Q1: whether what an agent has used leaves room for so much more; then it is counted. */
  use(author: string, more: { changes: number; bytes: number; paths: number }, time: number) {
    if (this.#context.isCustodian(author)) return true;
    const hour = Math.floor(time / HOUR);
    const known = this.#usage.get(author) ?? { hour, changes: 0, bytes: 0, paths: 0 };
    const before = known.hour === hour ? known : { ...known, hour, changes: 0, bytes: 0 };
    const after = {
      hour,
      changes: before.changes + more.changes,
      bytes: before.bytes + more.bytes,
      paths: before.paths + more.paths,
    };
    const own = this.quotas.get(author);
    const limit = (given: number | null | undefined, name: string, first: number): number =>
      given ?? this.parameters.get(name) ?? first;
    const isOver =
      after.changes > limit(own?.changesPerHour, 'agentChangesPerHour', 100_000) ||
      after.bytes > limit(own?.bytesPerHour, 'agentBytesPerHour', 2 ** 28) ||
      (more.paths > 0 && after.paths > limit(own?.paths, 'agentPaths', 1_000_000));
    if (isOver) this.refused.quota += 1;
    else this.#usage.set(author, after);
    return !isOver;
  }

  isNewLabel(author: string, change: Change): boolean {
    return change.op === 'anchor' && !this.#anchors.has(`${author} ${change.label}`);
  }

  /** The nearest first. */
  #around(path: string): Namespace[] {
    const parts = path.split('/');
    return parts.flatMap((_, i) => {
      const found = this.#namespaces.get(parts.slice(0, parts.length - i).join('/'));
      return found === undefined ? [] : [found];
    });
  }

  #refusalOf(
    author: string,
    change: Change,
    headsAreDeleted: (path: string) => boolean | undefined,
  ): Refusal | undefined {
    const isOld = this.#context.version() < ANCHORS_SINCE;
    switch (change.op) {
      case undefined:
        return this.mayWrite(author, change.path) ? undefined : 'rights';
      case 'grant':
      case 'revoke':
        return this.#mayChangeRights(author, change) ? undefined : 'rights';
      case 'anchor': {
        if (isOld) return 'upgrade';
        const [digest, previous] = this.#anchors.get(`${author} ${change.label}`) ?? ['', ''];
        const wanted = textOf(change.previous);
        const isRepeated = digest === textOf(change.digest) && previous === wanted;
        return isRepeated || digest === wanted ? undefined : 'anchor';
      }
      case 'erase': {
        if (isOld) return 'upgrade';
        const isNobodys = this.#around(change.path).length === 0;
        if (!isNobodys && !this.owns(author, change.path)) return 'rights';
        return headsAreDeleted(change.path) === true ? undefined : 'erasure';
      }
      default:
        return unreachable(change);
    }
  }

  /** N2. */
  #mayChangeRights(author: string, change: Change & { op: 'grant' | 'revoke' }): boolean {
    const { path, nodeId } = change;
    if (!this.owns(author, path)) return false;
    if (change.op === 'grant' && !this.#context.isMember(nodeId)) return false;
    const present = this.#namespaces.get(path);
    const isLast = present?.owners.has(nodeId) === true && present.owners.size === 1;
    const goes = change.op === 'revoke' || change.right === 'writer';
    if (!isLast || !goes) return true;
    // Only an owner of one around it takes the last owner away.
    const above = path.split('/').slice(0, -1).join('/');
    return above !== '' && this.owns(author, above);
  }

  #grant(author: string, path: string, nodeId: string, right: 'owner' | 'writer'): void {
    const present = this.#namespaces.get(path);
    if (present === undefined) {
      const owners = new Set([right === 'owner' ? nodeId : author]);
      const writers = new Set(right === 'writer' && nodeId !== author ? [nodeId] : []);
      this.#namespaces.set(path, { owners, writers });
      return;
    }
    const owners = new Set([...present.owners].filter((one) => one !== nodeId));
    const writers = new Set([...present.writers].filter((one) => one !== nodeId));
    (right === 'owner' ? owners : writers).add(nodeId);
    this.#namespaces.set(path, { owners, writers });
  }

  #revoke(path: string, nodeId: string): void {
    const present = this.#namespaces.get(path);
    if (present === undefined) return;
    const owners = new Set([...present.owners].filter((one) => one !== nodeId));
    const writers = new Set([...present.writers].filter((one) => one !== nodeId));
    const isOver = owners.size + writers.size === 0;
    if (isOver) this.#namespaces.delete(path);
    else this.#namespaces.set(path, { owners, writers });
  }
}

const textOf = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : Buffer.from(bytes).toString('hex');

function restore<V>(map: Map<string, V>, saved: ReadonlyMap<string, V>): void {
  map.clear();
  for (const [key, value] of saved) map.set(key, value);
}
