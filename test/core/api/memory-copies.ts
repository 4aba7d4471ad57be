/** The part of the memory backend that watches over copies. */
import type { CopiesBackend } from '../../../src/core/api/backend.ts';
import type { Body, Result } from '../../../src/core/api/contract/endpoints.ts';

const CID = 'bafkr4ig4e5mbqd5yqgz7hojp6i6gtkjkqxkzktnjbf2i4uw3epjmu5yxwe';
const BOB = { nodeId: 'aegis1bob', name: 'bob' };
const TIME = '2026-01-02T03:04:05.000Z';

export class MemoryCopies implements CopiesBackend {
  #isDraining = false;

  async status(): Promise<Result<'kb.status'>> {
    return {
      underReplicated: 1,
      wanted: 1,
      items: [
        {
          ...{ path: 'docs/a.txt', version: CID, cid: CID, state: 'error', copies: 1, wanted: 3 },
          ...{ since: TIME, why: 'no holder has it', failures: 2, nextAttempt: TIME },
          missing: [{ ...BOB, why: 'not-connected' }],
        },
      ],
      next: null,
      absent: [{ ...BOB, since: TIME }],
      draining: [],
      drain: { draining: this.#isDraining, left: null },
    };
  }

  async repair({ path }: Body<'kb.repair'>): Promise<Result<'kb.repair'>> {
    const isOne = path !== undefined;
    return {
      ...{ path: path ?? null, cid: isOne ? CID : null, objects: isOne ? 3 : null },
      ...{ unproved: [BOB], underReplicated: 1, wanted: 0 },
    };
  }

  async scrub({ now }: Body<'kb.scrub'>): Promise<Result<'kb.scrub'>> {
    return {
      ...{ startedAt: now ? TIME : null, objects: 3, sizeBytes: 1000, totalBytes: 5000 },
      ...{ damaged: 0, hurried: now, lastDoneAt: TIME, lastDamaged: 1, days: 30 },
    };
  }

  async drain({ undo }: Body<'node.drain'>): Promise<Result<'node.drain'>> {
    this.#isDraining = !undo;
    return { draining: !undo, left: undo ? null : 0 };
  }
}
