/**
 * W32: roots that an operator wants on this node, whatever the placement says. A pin is noted once
 * the whole root is here, under a lease, so that there is never a pin of something that is not.
 */
import { CID } from 'multiformats/cid';
import type { Body, Query, Result } from '../../api/contract/endpoints.ts';
import type { KbPin } from '../../api/contract/kb-space.ts';
import { AegisError } from '../../errors.ts';
import { LIMITS } from '../../kb/limits.ts';
import type { Replication } from '../../kb/replication.ts';
import type { Version } from '../../model/version.ts';
import type { ContentStore, Pin } from '../../storage/content-store.ts';
import { resolveReference } from '../reference.ts';
import { timeout } from '../timeout.ts';

export interface PinsDeps {
  readonly content: Pick<
    ContentStore,
    'lease' | 'pin' | 'pins' | 'setPin' | 'removePin' | 'root' | 'stat'
  >;
  readonly machine: Pick<Replication, 'graph'>;
  /** Fetches what is not here of a root. */
  complete(version: Pick<Version, 'root' | 'sizeBytes'>, signal: AbortSignal): Promise<void>;
}

interface Target {
  readonly root: CID;
  readonly path: string | null;
  /** Undefined: a CID that is no version's that this node knows. */
  readonly sizeBytes: number | undefined;
}

export class Pins {
  readonly #deps: PinsDeps;

  constructor(deps: PinsDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} `NOT_FOUND`, `NOT_REACHABLE`, `TIMEOUT`, `DISK_FULL`. */
  async add(
    { target, name, public: isPublic, timeoutMs }: Body<'kb.pin'>,
    signal: AbortSignal,
  ): Promise<Result<'kb.pin'>> {
    const { content } = this.#deps;
    const { root, path, sizeBytes } = this.#find(target);
    const lease = content.lease({ root, isBound: false });
    try {
      const known = await content.pin(root);
      const until = AbortSignal.any([signal, timeout(timeoutMs)]);
      await this.#deps.complete({ root, sizeBytes: sizeBytes ?? LIMITS.rootBytes }, until);
      const found = sizeBytes ?? (await content.root(root))?.sizeBytes ?? 0;
      const pin: Pin = {
        cid: root,
        name: name ?? known?.name ?? null,
        path: path ?? known?.path ?? null,
        isPublic: isPublic ?? known?.isPublic ?? false,
        sizeBytes: found === LIMITS.rootBytes ? 0 : found,
        addedAt: known?.addedAt ?? Date.now(),
      };
      await content.setPin(pin);
      return { ...shown(pin), created: known === undefined };
    } finally {
      lease.release();
    }
  }

  /** @throws {AegisError} `NOT_FOUND` for what is not pinned. */
  async remove({ target }: Body<'kb.unpin'>): Promise<Result<'kb.unpin'>> {
    const { content } = this.#deps;
    const found = (await this.#named(target)) ?? (await content.pin(this.#find(target).root));
    if (found === undefined || !(await content.removePin(found.cid))) {
      throw new AegisError('NOT_FOUND', `${JSON.stringify(target)} is not pinned here`, {
        hint: 'See what is: aegis kb pin --list',
      });
    }
    return shown(found);
  }

  async list({ limit, after }: Query<'kb.pins'>): Promise<Result<'kb.pins'>> {
    const from = after === undefined ? undefined : parseCid(after);
    const pins = await this.#deps.content.pins(from, limit);
    const next = pins.length < limit ? null : (pins.at(-1)?.cid.toString() ?? null);
    return { pins: pins.map(shown), next };
  }

  /** A pin by the path at which it was pinned: that may show something else by now. */
  async #named(target: string): Promise<Pin | undefined> {
    for (let after: CID | undefined; ; ) {
      const page = await this.#deps.content.pins(after, 256);
      const found = page.find(({ path, name }) => path === target || name === target);
      if (found !== undefined || page.length < 256) return found;
      after = page.at(-1)?.cid;
    }
  }

  #find(target: string): Target {
    const cid = cidOf(target);
    if (cid !== undefined) return { root: cid, path: null, sizeBytes: undefined };
    const { signed, inside } = resolveReference(this.#deps.machine.graph, target);
    const { root, sizeBytes, path } = signed.version;
    if (inside.length > 0) {
      throw new AegisError('BAD_REQUEST', `${JSON.stringify(target)} stands inside ${path}`, {
        hint: `Pin all of it, or its part by its CID: aegis kb ls ${path}`,
      });
    }
    return { root, path, sizeBytes };
  }
}

const shown = ({ cid, name, path, isPublic, sizeBytes, addedAt }: Pin): KbPin => ({
  ...{ cid: cid.toString(), name, path, public: isPublic, sizeBytes },
  time: new Date(addedAt).toISOString(),
});

/** A path never looks like one: it would need 59 characters that say nothing. */
function cidOf(text: string): CID | undefined {
  try {
    return CID.parse(text);
  } catch {
    return undefined;
  }
}

function parseCid(text: string): CID {
  const cid = cidOf(text);
  if (cid !== undefined) return cid;
  throw new AegisError('BAD_REQUEST', `${JSON.stringify(text)} is not a CID`);
}
