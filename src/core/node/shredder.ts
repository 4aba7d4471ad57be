/**
 * Destroys what a final version shreds (docs/knowledge-base.md, W46): the key objects of the other
 * versions of its path, as far as this node has them. What follows the version has keys of its own
 * and stays. A key that another path needs here stays, too: nobody destroys by a path of his own
 * what belongs to another. It does not reach other machines: each node does it for itself.
 */
import type { CID } from 'multiformats/cid';
import { AegisError, toAegisError } from '../errors.ts';
import type { Replication } from '../kb/replication.ts';
import { isShredded } from '../kb/retention.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { Turns } from '../turns.ts';
import type { Contents } from './contents.ts';
import type { Final } from './finals.ts';

export interface ShredderDeps {
  readonly machine: Pick<Replication, 'graph' | 'versionsOf'>;
  readonly content: Pick<ContentStore, 'shred' | 'sealedRoots'>;
  readonly contents: Pick<Contents, 'sealedRoot' | 'forget'>;
  /** What the custodians have decided about versions. */
  decided(versions: readonly string[]): Promise<(Final | undefined)[]>;
  readonly log: Log;
}

/** @throws {AegisError} `NOT_KEPT`. */
export function checkNotShredded(
  graph: Parameters<typeof isShredded>[0],
  signed: SignedVersion,
): void {
  if (!isShredded(graph, signed)) return;
  const { path } = signed.version;
  throw new AegisError('NOT_KEPT', `this content of ${JSON.stringify(path)} was shredded`, {
    hint: 'Its keys are destroyed on all nodes; a later `aegis kb put` begins anew.',
    details: { path, rule: 'shredded' },
  });
}

export class Shredder {
  readonly #deps: ShredderDeps;
  readonly #turns = new Turns();

  constructor(deps: ShredderDeps) {
    this.#deps = deps;
  }

  /** What was final when this node ended may not have been carried out. */
  start(): void {
    const paths = new Set<string>();
    for (const { version } of this.#deps.machine.graph.shreds()) paths.add(version.path);
    for (const path of paths) this.touched(path);
  }

  /** Something of a path is new, or final. */
  touched(path: string): void {
    const [first] = this.#deps.machine.graph.shreds(path);
    if (first === undefined) return;
    void this.#turns
      .run(() => this.#carryOut(path))
      .catch((error: unknown) => {
        const { code, message: reason } = toAegisError(error);
        this.#deps.log.write('error', 'a path could not be shredded yet', { path, code, reason });
      });
  }

  async #carryOut(path: string): Promise<void> {
    const shreds = [...this.#deps.machine.graph.shreds(path)];
    const decided = await this.#deps.decided(shreds.map(({ cidText }) => cidText));
    for (const [n, shred] of shreds.entries()) {
      const isFinal = decided[n] !== undefined && decided[n].result !== 'refused';
      if (isFinal) await this.#destroy(shred);
    }
  }

  async #destroy(shred: SignedVersion): Promise<void> {
    const { content, contents, log } = this.#deps;
    const { path } = shred.version;
    const keys = new Map<string, CID>();
    for (const root of this.#rootsBefore(shred)) {
      const sealed = await contents.sealedRoot(root);
      if (sealed !== undefined) keys.set(sealed.key.toString(), sealed.key);
    }
    for (const [name, key] of keys) {
      if (await this.#isNeeded(key, path)) {
        log.write('warn', 'a key that is shredded serves another path, too', { path, key: name });
        continue;
      }
      await content.shred([key]);
      contents.forget(key);
      log.write('info', 'the key of a content was shredded', { path, key: name });
    }
  }

  /** Roots of all versions of the path but those that follow the shredding. */
  #rootsBefore(shred: SignedVersion): CID[] {
    const history = [...this.#deps.machine.graph.history(shred.version.path)];
    const after = new Set([shred.cidText]);
    const roots: CID[] = [shred.version.root];
    // Parents before those that follow them.
    for (const { cidText, version } of history.toReversed()) {
      if (version.parents.some((parent) => after.has(parent.toString()))) after.add(cidText);
      else roots.push(version.root);
    }
    return roots;
  }

  async #isNeeded(key: CID, path: string): Promise<boolean> {
    const { content, machine } = this.#deps;
    for await (const root of content.sealedRoots(key)) {
      for (const { version } of machine.versionsOf(root)) {
        const [shred] = machine.graph.shreds(version.path);
        if (version.path !== path && shred === undefined) return true;
      }
    }
    return false;
  }
}
