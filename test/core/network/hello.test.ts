import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import {
  encodeHello,
  encodeRefusal,
  type HelloContext,
  judgeDialer,
  judgeListener,
  REFUSALS,
} from '../../../src/core/network/hello.ts';
import { createMember } from './cluster.ts';

const MAX = 16_384;
const alice = createMember('alice');
const bob = createMember('bob');
const context = (changes: Partial<HelloContext> = {}): HelloContext => ({
  clusterId: 'aegisc1x',
  inception: bob.inception,
  admit: (nodeId) => nodeId === alice.nodeId || nodeId === bob.nodeId,
  ...changes,
});
const aliceHello = encodeHello({ ...context(), inception: alice.inception }, 'aegis/0.1.0');

describe('hello', () => {
  it('admits a member that proves its network key', () => {
    const verdict = judgeDialer(aliceHello, alice.networkKey, context(), MAX);
    expect(verdict).toMatchObject({
      type: 'admitted',
      identity: { nodeId: alice.nodeId, name: 'alice', agent: 'aegis/0.1.0' },
    });
    expect(judgeListener(aliceHello, alice.networkKey, context(), MAX).nodeId).toBe(alice.nodeId);
  });

  it('refuses another cluster, another key and those who are no members', () => {
    const judge = (changes: Partial<HelloContext>, key = alice.networkKey): unknown =>
      judgeDialer(aliceHello, key, context(changes), MAX);
    expect(() => judge({ clusterId: 'aegisc1y' })).toThrow('another cluster');
    expect(() => judge({}, bob.networkKey)).toThrow('does not own its network key');
    expect(() => judge({ admit: () => false })).toThrow('not a member');
  });

  it('refuses a member of another protocol version by name', () => {
    const fields = {
      v: 1,
      type: 'hello',
      clusterId: 'aegisc1x',
      inception: alice.inception,
      agent: 'aegis/9',
    };
    for (const versions of [{ rpc: [2], car: [1] }, { rpc: [1] }, {}, { rpc: 1, car: 1 }]) {
      const frame = encode({ ...fields, versions });
      const verdict = judgeDialer(frame, alice.networkKey, context(), MAX);
      expect(verdict).toMatchObject({ type: 'refused', refusal: 'VERSION' });
    }
    expect(() => judgeDialer(encode({ v: 2 }), alice.networkKey, context(), MAX)).toThrow(
      'another version of hello',
    );
  });

  it('explains every refusal of the listener', () => {
    for (const refusal of REFUSALS) {
      try {
        judgeListener(encodeRefusal(refusal), alice.networkKey, context(), MAX);
        expect.unreachable();
      } catch (error) {
        expect(hasCode(error, 'HELLO_REFUSED') && error.details['refusal']).toBe(refusal);
      }
    }
    const unknown = encode({ v: 1, type: 'refusal', reason: 'MOOD' });
    expect(() => judgeListener(unknown, alice.networkKey, context(), MAX)).toThrow('known reason');
  });

  it('throws nothing but a refusal, whatever the bytes', () => {
    const mutated = fc
      .array(fc.tuple(fc.nat({ max: aliceHello.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 4,
      })
      .map((changes) => {
        const frame = aliceHello.slice();
        for (const [at, byte] of changes) frame[at] = byte;
        return frame;
      });
    const frames = fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated);
    fc.assert(
      fc.property(frames, (frame) => {
        for (const judge of [judgeDialer, judgeListener]) {
          try {
            judge(frame, alice.networkKey, context(), MAX);
          } catch (error) {
            expect(hasCode(error, 'HELLO_REFUSED')).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
    expect(() => judgeDialer(randomBytes(MAX + 1), alice.networkKey, context(), MAX)).toThrow(
      'is wrong',
    );
  });
});
