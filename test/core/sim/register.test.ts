/**
 * The simulator's own idea of a path against the chain's execution: two codes that share no line
 * must say the same of any sequence of changes.
 */
import fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import { executeIntents, readRef } from '../../../src/core/chain/execution.ts';
import { Registers } from '../../../src/core/chain/registers.ts';
import { Roster } from '../../../src/core/chain/roster.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import type { Move, SignedIntent } from '../../../src/core/model/intent.ts';
import { PROTOCOL } from '../../../src/core/model/protocol.ts';
import { versionCidOf } from '../../../src/core/model/version.ts';
import type { Op } from '../../../src/core/sim/linearizability.ts';
import { linearizable } from '../../../src/core/sim/linearizability.ts';
import {
  type Heads,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  write,
} from '../../../src/core/sim/register.ts';
import { contextOf } from '../../helpers/names.ts';

const VERSIONS: readonly CID[] = Array.from({ length: 40 }, (_, i) =>
  versionCidOf(Buffer.from(`version ${i}`)),
);
const version = fc.constantFrom(...VERSIONS);
const CONTEXT = contextOf('cluster');

const changes = fc.array(
  fc.record({
    version,
    parents: fc.uniqueArray(version, { maxLength: 3, selector: String }),
    expected: fc.option(fc.option(version, { nil: null }), { nil: undefined }),
  }),
  { maxLength: 80 },
);

const inputOf = (change: Move): Extract<RegisterInput, { type: 'write' }> => ({
  type: 'write',
  path: change.path,
  version: change.version.toString(),
  parents: change.parents.map(String),
  expected: change.expected ? change.expected.toString() : change.expected,
});

describe('the simulator', () => {
  it('expects of a path what the chain does', () => {
    fc.assert(
      fc.property(changes, (list) => {
        let state = StateTree.empty;
        let heads: Heads = [];
        for (const [i, { expected, ...rest }] of list.entries()) {
          const change: Move = {
            path: 'doc',
            generation: 1,
            ...rest,
            ...(expected === undefined ? {} : { expected }),
          };
          const sequence = i + 1;
          const intent = { author: 'author', sequence, time: 0, changes: [change], keyEpoch: 0 };
          const signed: SignedIntent = { id: `${i}`, intent, bytes: Buffer.of(), digest: '' };
          const before = { roster: new Roster([]), registers: new Registers(PROTOCOL.max) };
          const block = { ...CONTEXT, ...before, height: i + 1, time: i };
          const done = executeIntents(state, [signed], block);
          state = state.update(done.changes);
          const after = write(heads, inputOf(change));
          expect(done.receipts[0]!.result !== 'refused').toBe(after !== undefined);
          heads = after ?? heads;
          const ref = readRef(state, CONTEXT.names, 'doc')?.heads.map((head) =>
            head.version.toString(),
          );
          expect((ref ?? []).toSorted()).toEqual(heads);
        }
      }),
    );
  });

  it('tells histories that one path explains from those that it does not', () => {
    const put = (name: string, expected: string | null | undefined) =>
      ({ type: 'write', path: 'doc', version: name, parents: [], expected }) as const;
    const read = { type: 'read', path: 'doc' } as const;
    const history = (
      ...ops: readonly (readonly [RegisterInput, RegisterOutput, number, number])[]
    ): boolean =>
      linearizable(
        registerModel,
        ops.map(([input, output, call, end]): Op<RegisterInput, RegisterOutput> => {
          return { client: 0, input, output, call, return: end };
        }),
      );
    const done = { isDone: true };
    const refused = { isDone: false };
    expect(history([put('a', null), done, 0, 1], [read, { heads: ['a'] }, 2, 3])).toBe(true);
    expect(history([put('a', null), done, 0, 1], [read, { heads: [] }, 2, 3])).toBe(false);
    expect(history([put('a', null), done, 0, 2], [read, { heads: [] }, 1, 3])).toBe(true);
    expect(history([put('a', null), done, 0, 1], [put('b', null), refused, 2, 3])).toBe(true);
    expect(history([put('a', null), done, 0, 1], [put('b', null), done, 2, 3])).toBe(false);
    const unknown = [put('a', null), undefined, 0, Infinity] as const;
    expect(history(unknown, [read, { heads: ['a'] }, 2, 3])).toBe(true);
    expect(history(unknown, [read, { heads: [] }, 2, 3])).toBe(true);
    expect(history(unknown, [read, { heads: ['a'] }, 2, 3], [read, { heads: [] }, 4, 5])).toBe(
      false,
    );
  });
});
