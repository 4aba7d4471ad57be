import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { ADMISSION_BYTES_MAX } from '../../../src/core/model/membership.ts';
import { HELLO_ENTRIES_MAX, SUCCESSION_BYTES_MAX } from '../../../src/core/model/succession.ts';
import {
  checkWelcome,
  encodeHello,
  encodeKnock,
  encodeRefusal,
  encodeWelcome,
  type HelloContext,
  type HelloReading,
  type HelloVerdict,
  type Judged,
  judgeDialer,
  judgeFirst,
  judgeListener,
  REFUSALS,
} from '../../../src/core/network/hello.ts';
import { knockOf } from '../../../src/core/network/knock.ts';
import { limitsOf } from '../../../src/core/network/limits.ts';
import { Knowledge, Member } from './member.ts';

const MAX = limitsOf('network').helloMaxBytes;
const CLUSTER = 'aegisc1x';

const contextOf = (member: Member, knowledge: Knowledge): HelloContext => ({
  clusterId: CLUSTER,
  own: () => member.introduction(),
  ...knowledge.context(),
});

function setUp() {
  const [alice, bob] = [new Member('alice'), new Member('bob')];
  const knowledge = new Knowledge([alice, bob]);
  const context = contextOf(bob, knowledge);
  const reading = (changes: Partial<HelloReading> = {}): HelloReading => {
    return { context, networkKey: alice.networkKey, maxBytes: MAX, ...changes };
  };
  const hello = (member = alice): Uint8Array =>
    encodeHello(contextOf(member, knowledge), 'aegis/0.1.0', MAX);
  const judge = (frame = hello(), changes: Partial<HelloReading> = {}): Judged =>
    judgeDialer(frame, reading(changes));
  return { alice, bob, knowledge, context, reading, hello, judge };
}

/** The hello with other fields than an honest node would send. */
const forged = (frame: Uint8Array, changes: Record<string, unknown>): Uint8Array =>
  encode({ ...(decode(frame, { maxBytes: MAX }) as Record<string, unknown>), ...changes });

describe('hello', () => {
  it('admits a member that proves its network key', () => {
    const { alice, hello, judge, reading } = setUp();
    expect(judge()).toMatchObject({
      type: 'admitted',
      identity: { nodeId: alice.nodeId, name: 'alice', agent: 'aegis/0.1.0', keyNumber: 0 },
    });
    expect(judgeListener(hello(), reading()).identity.nodeId).toBe(alice.nodeId);
  });

  it('admits a later key of its succession, and names all that it has had', () => {
    const { alice, judge } = setUp();
    const first = alice.networkKey;
    alice.rotate();
    const second = alice.networkKey;
    // The same key is the same number, whatever follows that leaves it.
    alice.extend();
    const { identity, networkKeys } = judge(undefined, { networkKey: second });
    expect(identity.keyNumber).toBe(1);
    expect(networkKeys).toEqual([first, second, second]);
    // The key before, within its grace (H2), ranks lower.
    const before = judge(undefined, { networkKey: first });
    expect(before).toMatchObject({ type: 'admitted', identity: { keyNumber: 0 } });
  });

  it('verifies no entry that leads nowhere', () => {
    const { alice, context, hello, reading } = setUp();
    alice.rotate();
    const frame = hello();
    const { succession } = decode(frame, { maxBytes: MAX }) as { succession: Uint8Array[] };
    const spoilt = succession[0]!.slice();
    spoilt[spoilt.length - 1]! ^= 1;
    const bad = forged(frame, { succession: [spoilt] });
    const asked: number[] = [];
    const leading = (does: boolean): HelloContext => ({
      ...context,
      leads: ({ succession: shown }) => asked.push(shown.length) > 0 && does,
    });
    const networkKey = alice.networkKey;
    for (const [does, why] of [
      [false, /was never that of/],
      [true, /signature of the succession/],
    ] as const) {
      const given = reading({ context: leading(does), networkKey });
      expect(() => judgeDialer(bad, given)).toThrow(why);
    }
    expect(asked).toEqual([1, 1]);
  });

  it('ranks a key by the word of the judge, not by what is shown', () => {
    const { alice, context, hello, reading } = setUp();
    const { judge } = context;
    const knowing: HelloContext = {
      ...context,
      judge: (claim) => ({ ...judge(claim), keyNumber: 7 }) as HelloVerdict,
    };
    const { identity } = judgeListener(hello(), reading({ context: knowing }));
    expect(identity).toMatchObject({ nodeId: alice.nodeId, keyNumber: 7 });
  });

  it('tells a member that its key is retired or its node frozen, and nobody else', () => {
    const { alice, bob, knowledge, judge, hello } = setUp();
    const first = alice.networkKey;
    const fork = alice.prepare();
    alice.rotate('compromised');
    expect(judge(undefined, { networkKey: first })).toMatchObject({
      type: 'refused',
      refusal: 'RETIRED',
      identity: { nodeId: alice.nodeId },
    });
    // A thief shows what he has of it; the judge knows more (H1).
    const stolen = forged(hello(), { succession: [] });
    expect(judge(stolen, { networkKey: first })).toMatchObject({ refusal: 'RETIRED' });
    const twoFaced = forged(hello(), { succession: [fork.bytes] });
    const { networkKey } = fork.succession.keys;
    expect(judge(twoFaced, { networkKey })).toMatchObject({ refusal: 'FROZEN' });
    expect(judge(undefined, { networkKey: alice.networkKey })).toMatchObject({ refusal: 'FROZEN' });
    knowledge.banned.add(bob.nodeId);
    expect(() => judge(hello(bob), { networkKey: bob.networkKey })).toThrow('not a member');
  });

  it('refuses another cluster, another key and those who are no members', () => {
    const { alice, bob, context, hello, judge } = setUp();
    const other = { ...context, clusterId: 'aegisc1y' };
    expect(() => judge(undefined, { context: other })).toThrow('another cluster');
    expect(() => judge(undefined, { networkKey: bob.networkKey })).toThrow('does not own');
    const outsider = new Member('outsider');
    const { networkKey } = outsider;
    expect(() => judge(hello(outsider), { networkKey })).toThrow('not a member');
    // The entry is good, and of somebody else.
    bob.rotate();
    const [entry] = bob.entries;
    const borrowed = forged(hello(alice), { succession: [entry!.bytes] });
    expect(() => judge(borrowed)).toThrow('succession of another node');
    expect(() => judge(borrowed, { networkKey: bob.networkKey })).toThrow('of another node');
  });

  it('verifies nothing of a node that may not be let in, unless it shows an admission', () => {
    const { hello, judge, context } = setUp();
    const asked: string[] = [];
    const wary: HelloContext = {
      ...context,
      knows(nodeId) {
        asked.push(nodeId);
        return false;
      },
    };
    const outsider = new Member('outsider');
    const unsigned = forged(hello(outsider), {
      inception: outsider.inception.map((byte, at, all) => (at === all.length - 1 ? ~byte : byte)),
    });
    expect(() => judge(unsigned, { context: wary })).toThrow('is not a member');
    expect(asked).toHaveLength(1);
    const joining = forged(unsigned, { admission: randomBytes(10) });
    expect(() => judge(joining, { context: wary })).toThrow('signature');
    expect(asked).toHaveLength(1);
  });

  it('refuses a succession with a gap, out of order, twice or not signed', () => {
    const { alice, hello, judge } = setUp();
    for (let i = 0; i < 3; i += 1) alice.rotate();
    const [one, two, three] = alice.entries.map((entry) => entry.bytes);
    const { networkKey } = alice;
    const last = forged(hello(), { succession: [two, three] });
    // Only the end of it: whether it follows what is known, the judge decides.
    expect(() => judge(last, { networkKey })).toThrow('none of its succession');
    for (const succession of [
      [one, three],
      [two, one],
      [one, one, two, three],
      [three, two, one],
    ]) {
      expect(() => judge(forged(hello(), { succession }), { networkKey })).toThrow('with a gap');
    }
    const unsigned = three!.map((byte, at) => (at === three!.length - 3 ? byte ^ 1 : byte));
    const broken = forged(hello(), { succession: [one, two, unsigned] });
    expect(() => judge(broken, { networkKey })).toThrow('signature');
  });

  it('shows the last entries where there are too many, and refuses who shows more', () => {
    const { alice, hello, judge } = setUp();
    for (let i = 0; i <= HELLO_ENTRIES_MAX; i += 1) alice.rotate();
    const shown = decode(hello(), { maxBytes: MAX }) as { succession: Uint8Array[] };
    expect(shown.succession.length).toBeLessThanOrEqual(HELLO_ENTRIES_MAX);
    expect(shown.succession.at(-1)).toEqual(alice.entries.at(-1)!.bytes);
    expect(shown.succession.length).toBeGreaterThan(20);
    const small = encodeHello(
      { ...contextOf(alice, new Knowledge([])), clusterId: CLUSTER },
      'aegis/1',
      4096,
    );
    expect(small.length).toBeLessThanOrEqual(4096);
    const succession = alice.entries.map((entry) => entry.bytes);
    expect(() => judge(forged(hello(), { succession }))).toThrow('is wrong');
    const large = [randomBytes(SUCCESSION_BYTES_MAX + 200)];
    expect(() => judge(forged(hello(), { succession: large }))).toThrow('is wrong');
    expect(() => judge(randomBytes(MAX + 1))).toThrow('is wrong');
  });

  it('carries an admission, unless there is no room for it', () => {
    const { alice, knowledge, reading } = setUp();
    for (let i = 0; i < HELLO_ENTRIES_MAX; i += 1) alice.rotate();
    const { networkKey } = alice;
    const claims: (Uint8Array | undefined)[] = [];
    const context: HelloContext = {
      ...reading().context,
      judge(claim) {
        claims.push(claim.admission);
        return knowledge.judge(claim);
      },
    };
    for (const admission of [randomBytes(ADMISSION_BYTES_MAX), randomBytes(MAX)]) {
      const own = {
        ...contextOf(alice, knowledge),
        own: () => ({ ...alice.introduction(), admission }),
      };
      judgeDialer(encodeHello(own, 'aegis/1', MAX), reading({ context, networkKey }));
    }
    expect(claims.map((bytes) => bytes?.length)).toEqual([ADMISSION_BYTES_MAX, undefined]);
  });

  it('refuses a member of another protocol version by name', () => {
    const { hello, judge } = setUp();
    for (const versions of [{ rpc: [2], car: [1] }, { rpc: [1] }, {}, { rpc: 1, car: 1 }]) {
      const verdict = judge(forged(hello(), { versions }));
      expect(verdict).toMatchObject({ type: 'refused', refusal: 'VERSION' });
    }
    for (const v of [1, 3]) {
      expect(() => judge(forged(hello(), { v }))).toThrow('another version of hello');
    }
  });

  it('explains every refusal of the listener', () => {
    const { reading } = setUp();
    for (const refusal of REFUSALS) {
      for (const open of [
        () => judgeListener(encodeRefusal(refusal), reading()),
        () => checkWelcome(encodeRefusal(refusal), MAX),
      ]) {
        try {
          open();
          expect.unreachable();
        } catch (error) {
          expect(hasCode(error, 'HELLO_REFUSED') && error.details['refusal']).toBe(refusal);
        }
      }
    }
    const unknown = encode({ v: 2, type: 'refusal', reason: 'MOOD' });
    expect(() => judgeListener(unknown, reading())).toThrow('known reason');
    expect(() => checkWelcome(unknown, MAX)).toThrow('known reason');
  });

  it('does not take one frame for another', () => {
    const { alice, bob, hello, judge, reading } = setUp();
    const keys = { dialer: alice.networkKey, listener: bob.networkKey };
    for (const frame of [encodeWelcome(), encodeKnock(CLUSTER, keys), encodeRefusal('BUSY')]) {
      expect(() => judge(frame)).toThrow('did not say hello');
    }
    expect(() => judgeListener(encodeWelcome(), reading())).toThrow('did not say hello');
    expect(() => checkWelcome(hello(), MAX)).toThrow('did not say welcome');
    expect(() => checkWelcome(encodeWelcome(), MAX)).not.toThrow();
  });

  it('throws nothing but a refusal, whatever the bytes', () => {
    const { alice, bob, reading, hello } = setUp();
    alice.rotate();
    const good = [
      hello(),
      encodeKnock(CLUSTER, { dialer: alice.networkKey, listener: bob.networkKey }),
    ];
    const mutated = fc
      .tuple(
        fc.constantFrom(...good),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
      )
      .map(([frame, changes]) => {
        const bytes = frame.slice();
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    const frames = fc.oneof(fc.uint8Array({ maxLength: 600 }), mutated);
    fc.assert(
      fc.property(frames, (frame) => {
        for (const open of [
          () => judgeFirst(frame, reading(), bob.networkKey),
          () => judgeDialer(frame, reading()),
          () => judgeListener(frame, reading()),
          () => checkWelcome(frame, MAX),
        ]) {
          try {
            open();
          } catch (error) {
            expect(hasCode(error, 'HELLO_REFUSED')).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('a knock', () => {
  it('holds for these two ends and this cluster only', () => {
    const { alice, bob, reading } = setUp();
    const [dialer, listener] = [alice.networkKey, bob.networkKey];
    const open = (clusterId: string, keys: Parameters<typeof knockOf>[1]): unknown =>
      judgeFirst(encodeKnock(clusterId, keys), reading(), listener);
    expect(open(CLUSTER, { dialer, listener })).toEqual({ type: 'knock' });
    const other = new Member('other').networkKey;
    for (const keys of [
      { dialer: listener, listener: dialer },
      { dialer: other, listener },
      { dialer, listener: other },
    ]) {
      expect(() => open(CLUSTER, keys)).toThrow('does not know this cluster');
    }
    expect(() => open('aegisc1y', { dialer, listener })).toThrow('does not know this cluster');
    for (const mac of [new Uint8Array(0), new Uint8Array(32), new Uint8Array(33)]) {
      const frame = encode({ v: 2, type: 'knock', mac });
      expect(() => judgeFirst(frame, reading(), listener)).toThrow('does not know this cluster');
    }
  });

  it('is HMAC-SHA-256 of domain and keys, keyed by the text of the cluster id', () => {
    const keys = { dialer: new Uint8Array(32).fill(1), listener: new Uint8Array(32).fill(2) };
    // printf 'aegis/knock/1\0' + 32 * 01 + 32 * 02 | openssl dgst -sha256 -hmac aegisc1test
    expect(Buffer.from(knockOf('aegisc1test', keys)).toString('hex')).toBe(
      '783b54ff35b39f9c66a9884f1268fe5f148239a9668cf13a330ffeeae38ce38d',
    );
  });
});
