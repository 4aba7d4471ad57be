/** W45: who reads what after a member has left, with real keys and versions and no network. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { expect, test, vi } from 'vitest';
import type { RosterMember } from '../../../src/core/chain/roster.ts';
import { readingSecretOf, recipientOfSecret } from '../../../src/core/crypto/reading-key.ts';
import { KbStore } from '../../../src/core/kb/store.ts';
import { VersionGraph } from '../../../src/core/kb/versions.ts';
import { encodeReaders, readReaders } from '../../../src/core/model/readers.ts';
import { ReadersDesk } from '../../../src/core/node/readers-desk.ts';
import { OwnReadingKeys } from '../../../src/core/node/reading-keys.ts';
import type { Log } from '../../../src/core/ports.ts';
import { authors, contentOf, versionOf } from '../kb/authors.ts';

type Member = Pick<RosterMember, 'nodeId' | 'name' | 'role' | 'status' | 'isFrozen' | 'keys'>;

const quiet: Log = {
  write: () => {},
  child: () => quiet,
};
const seedOf = (n: number) => new Uint8Array(32).fill(100 + n);

/** Nodes that share one graph: what one writes, all have at once. */
class Net {
  readonly graph = new VersionGraph({}, new KbStore());
  readonly members: Member[];
  readonly written: { readonly path: string; readonly by: number }[] = [];
  readonly #files = new Map<string, Uint8Array>();
  readonly #sequences = new Map<number, number>();

  constructor(roles: readonly ('custodian' | 'agent')[]) {
    this.members = roles.map((role, n) => ({
      ...{ nodeId: authors[n]!.nodeId, name: `n${n}`, role, status: 'member', isFrozen: false },
      keys: { keys: { networkKey: ed25519.getPublicKey(seedOf(n)) } } as RosterMember['keys'],
    }));
  }

  set(n: number, change: Partial<Member>): void {
    this.members[n] = { ...this.members[n]!, ...change };
  }

  write(by: number, path: string, bytes: Uint8Array): void {
    const sequence = (this.#sequences.get(by) ?? 0) + 1;
    this.#sequences.set(by, sequence);
    const root = contentOf(`${by} ${sequence}`);
    this.#files.set(root.toString(), bytes);
    const shown = this.graph.shown(path);
    this.graph.add(
      versionOf(authors[by]!, {
        ...{ path, sequence, root, sizeBytes: bytes.length },
        parents: shown === undefined ? [] : [shown.cid],
        generation: (shown?.version.generation ?? 0) + 1,
      }),
    );
    this.written.push({ path, by });
  }

  /** @param kept what its keystore has. */
  node(n: number, kept: Uint8Array[] = []) {
    const all = () => this.members as RosterMember[];
    const keystore = {
      networkSeed: () => seedOf(n),
      readingSecrets: () => kept,
      keepReading: async (secret: Uint8Array) => void kept.push(secret.slice()),
    };
    const roster = { members: () => all().filter(({ status }) => status === 'member') };
    const keys = new OwnReadingKeys({ nameKey: new Uint8Array(32).fill(1), keystore, roster });
    const desk = new ReadersDesk({
      ...{ self: authors[n]!.nodeId, graph: this.graph, keys, log: quiet },
      roster: { all, get: (nodeId) => all().find((one) => one.nodeId === nodeId) },
      read: async (root) => this.#files.get(root.toString())!,
      write: async (path, bytes) => this.write(n, path, bytes),
      ...{ isWriting: true, rankMs: 60_000 },
    });
    return { keys, desk, kept };
  }
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

test('who has left is no reader of the next epoch; all others are, and who is new', async () => {
  const net = new Net(['custodian', 'custodian', 'agent', 'agent']);
  const nodes = [0, 1, 2, 3].map((n) => net.node(n));
  const first = nodes[0]!.keys.inForce;
  for (const { desk } of nodes) desk.start();
  net.set(3, { status: 'left' });
  for (const { desk } of nodes) desk.look();
  await until(() => expect(net.graph.shown('.aegis/readers/1')).toBeDefined());
  for (const { desk } of nodes) desk.look();
  const others = nodes.slice(0, 3);
  await until(() => {
    for (const { keys } of nodes) expect(keys.inForce).not.toBe(first);
  });
  const { inForce } = nodes[0]!.keys;
  expect(nodes.map(({ keys }) => keys.inForce)).toEqual([inForce, inForce, inForce, inForce]);
  await until(() => {
    for (const { keys } of others) expect(keys.among([inForce])).toHaveLength(1);
  });
  expect(nodes[3]!.keys.among([inForce])).toEqual([]);
  // What was sealed before stays readable to all that could read it.
  for (const { keys } of nodes) expect(keys.among([first])).toHaveLength(1);
  expect(nodes[0]!.keys.nameOf(inForce)).toBe('the readers of the cluster (epoch 1)');
  expect(nodes[3]!.keys.nameOf(inForce)).toBe('the readers of the cluster (epoch 1)');
  // The same key for one more.
  net.set(3, { status: 'member' });
  for (const { desk } of nodes) desk.look();
  await until(() => expect(net.graph.shown('.aegis/readers/1')?.version.generation).toBe(2));
  nodes[3]!.desk.look();
  await until(() => expect(nodes[3]!.keys.among([inForce])).toHaveLength(1));
  expect(nodes[3]!.keys.inForce).toBe(inForce);
  for (const { desk } of nodes) desk.stop();
});

test('a key that was kept is there after a start with another network key', async () => {
  const net = new Net(['custodian', 'agent', 'agent']);
  const [a, b] = [net.node(0), net.node(1)];
  net.set(2, { isFrozen: true });
  for (const { desk } of [a, b]) desk.start();
  await until(() => expect(net.graph.shown('.aegis/readers/1')).toBeDefined());
  b.desk.look();
  await until(() => expect(b.keys.among([a.keys.inForce])).toHaveLength(1));
  const own = recipientOfSecret(readingSecretOf(seedOf(1)));
  const again = net.node(2, b.kept);
  expect(again.keys.among([a.keys.inForce, own])).toHaveLength(2);
  for (const { desk } of [a, b]) desk.stop();
});

test('only a custodian says who reads', async () => {
  const net = new Net(['custodian', 'agent']);
  const [a, b] = [net.node(0), net.node(1)];
  const recipient = recipientOfSecret(new Uint8Array(32).fill(66));
  const members = net.members.map(({ nodeId }) => nodeId).toSorted();
  const file = new Uint8Array(10);
  net.write(1, '.aegis/readers/1', encodeReaders({ epoch: 1, recipient, members, file }));
  const before = a.keys.inForce;
  for (const { desk } of [a, b]) desk.start();
  // The one that a custodian writes next is the second one of the path.
  net.set(1, { status: 'left' });
  a.desk.look();
  await until(() =>
    expect(net.graph.shown('.aegis/readers/1')?.version.author).toBe(authors[0]!.nodeId),
  );
  expect(a.keys.inForce).not.toBe(recipient);
  expect(before).not.toBe(recipient);
  for (const { desk } of [a, b]) desk.stop();
});

test('a record of an epoch is read strictly', () => {
  const recipient = recipientOfSecret(new Uint8Array(32).fill(1));
  const members = [authors[0]!.nodeId, authors[1]!.nodeId].toSorted();
  const fields = { epoch: 3, recipient, members, file: Uint8Array.of(1, 2) };
  expect(readReaders(encodeReaders({ ...fields, members: members.toReversed() }))).toEqual(fields);
  const odd = [
    { epoch: 0 },
    { recipient: 'age1' },
    { members: [members[0]!, members[0]!] },
    { members: ['somebody'] },
  ];
  for (const change of odd) {
    expect(() => readReaders(encodeReaders({ ...fields, ...change }))).toThrow();
  }
});
