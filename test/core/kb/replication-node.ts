/** One replication machine under test, and versions whose roots are placed as a test wants it. */
import { expect } from 'vitest';
import { decodeMessage, encodeMessage, type KbMessage } from '../../../src/core/kb/messages.ts';
import {
  Replication,
  type ReplicationInput,
  type ReplicationOptions,
  type ReplicationOutcome,
} from '../../../src/core/kb/replication.ts';
import type { Ready } from '../../../src/core/machine.ts';
import { MemoryRows } from '../../../src/core/memory-rows.ts';
import type { SignedVersion } from '../../../src/core/model/version.ts';
import { instant, type Verified } from '../../../src/core/units.ts';
import { type Author, authors, contentOf, keyOfAuthor, versionOf } from './authors.ts';

export const [ana, bea, cai, dan] = authors as unknown as [Author, Author, Author, Author];
const START = 1_000_000;

/** One node under test: keeps its durable entries and decodes what it sends. */
export class Node {
  readonly id: string;
  /** What is durable. */
  readonly rows = new MemoryRows();
  machine: Replication;
  now = START;
  alarms = new Map<string, number>();
  #options: ReplicationOptions;

  constructor(author: Author, options: Partial<ReplicationOptions> = {}) {
    this.id = author.nodeId;
    const members = [ana, bea, cai, dan].map(({ nodeId }, i) => ({
      nodeId,
      weight: 100,
      zone: `z${i}`,
    }));
    this.#options = { nodeId: this.id, members, replicas: 3, ...options };
    this.machine = this.#make();
  }

  step(input: ReplicationInput): { sent: Sent[]; told: ReplicationOutcome[]; ready: Ready } {
    const ready = this.machine.step(input, instant(this.now));
    this.rows.apply(ready.entries);
    for (const { key, at } of ready.alarms) {
      if (at === undefined) this.alarms.delete(key);
      else this.alarms.set(key, at);
    }
    const sent = ready.messages.map(({ to, body }) => ({ to, body, message: decodeMessage(body) }));
    return { sent, told: ready.outcomes as ReplicationOutcome[], ready };
  }

  up(...peers: Author[]): void {
    for (const { nodeId } of peers) this.step({ type: 'peer-up', nodeId });
  }

  message(from: Author, message: KbMessage) {
    return this.step({ type: 'message', from: from.nodeId, body: encodeMessage(message) });
  }

  /** Lets the alarm with this key ring at its time. */
  ring(key: string) {
    const at = this.alarms.get(key);
    expect(at, key).toBeDefined();
    this.now = at!;
    this.alarms.delete(key);
    return this.step({ type: 'alarm', key });
  }

  #make(): Replication {
    return new Replication(this.#options, { keyOf: keyOfAuthor }, this.rows);
  }

  /** As its rows describe it. */
  restart(options: Partial<ReplicationOptions> = {}): void {
    this.#options = { ...this.#options, ...options };
    this.machine = this.#make();
    this.alarms = new Map();
  }
}

export interface Sent {
  readonly to: string;
  readonly body: Uint8Array;
  readonly message: KbMessage;
}

export const kinds = (sent: readonly Sent[], to: Author): string[] =>
  sent.filter((one) => one.to === to.nodeId).map(({ message }) => message.type);

/** A version by ana whose root is placed at bea, cai and dan, in this order or another. */
function versionFor(placed: readonly Author[]): Verified<SignedVersion> {
  const probe = new Node(ana);
  for (let i = 0; ; i += 1) {
    const root = contentOf(`content ${i}`);
    const { placed: holders } = probe.machine.holders(root);
    if (placed.every(({ nodeId }) => holders.includes(nodeId))) {
      return versionOf(ana, { path: 'doc', sequence: 1, root });
    }
  }
}

export const elsewhere = versionFor([bea, cai, dan]);
export const atHome = versionFor([ana, bea]);

export const stored = (version: SignedVersion): KbMessage => ({
  type: 'stored',
  versions: [version.cid],
});
