/** `aegis keys history`: the succession of a node, verified from its inception on. */

import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { facts, table } from '../../cli/format.ts';
import { rolesText } from '../../cli/keys.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import { timesOf } from '../../cli/times.ts';
import type { KeysSuccessionResult } from '../../core/api/contract/keys.ts';
import { hex } from '../../core/bytes.ts';
import type { KeyState } from '../../core/model/succession.ts';

type Entry = KeysSuccessionResult['entries'][0];

interface Told {
  readonly source: KeysSuccessionResult['source'];
  readonly name: string;
  readonly frozen: boolean | null;
  readonly nodeId: string;
  readonly states: readonly KeyState[];
  /** By number. */
  readonly heights: ReadonlyMap<number, number>;
}

export default class KeysHistory extends BaseCommand<typeof KeysHistory, KeysSuccessionResult> {
  static override readonly summary = 'Show how the keys of a node followed one another.';
  static override readonly description =
    'Verifies the whole succession, from the inception whose hash is the node id to the keys of ' +
    'today: each entry is signed by the successor to which the one before has committed. The own ' +
    'one is read from this home and needs no daemon; that of another member comes from the ' +
    'daemon, and is verified here all the same. Exit status 65 when it does not hold.';
  static override readonly examples = [
    { description: 'Of this node', command: '<%= config.bin %> keys history' },
    { description: 'Of another member', command: '<%= config.bin %> keys history bob' },
  ];
  static override readonly args = {
    node: Args.string({
      ignoreStdin: true,
      description: 'Name or node id of a member. Default: this node.',
    }),
  };

  protected override async work(): Promise<KeysSuccessionResult> {
    const { node } = this.args;
    const { nodeId, name, source, frozen, states, heights } = await this.#told(node);
    const entries = states.map((state) => entryOf(state, heights.get(state.number) ?? null));
    return { schema: 'aegis.keys.succession/1', nodeId, name, source, frozen, entries };
  }

  protected override view(result: KeysSuccessionResult): string {
    const head = facts([
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['told by', result.source === 'home' ? 'this home' : 'the chain'],
      ['verified', `${result.entries.length} of ${result.entries.length}`],
      ['frozen', result.frozen === true ? 'yes: two entries follow the same one' : undefined],
    ]);
    const entries = table(result.entries, [
      { title: 'ENTRY', cell: (entry) => entry.number, align: 'right' },
      { title: 'EPOCH', cell: (entry) => entry.keyEpoch, align: 'right' },
      { title: 'HEIGHT', cell: (entry) => entry.height, align: 'right' },
      { title: 'MADE', cell: (entry) => entry.createdAt },
      { title: 'REASON', cell: (entry) => entry.reason },
      { title: 'REPLACED', cell: replacedText },
    ]);
    return `${head}\n\n${entries}`;
  }

  async #told(node: string | undefined): Promise<Told> {
    if (node !== undefined) {
      const home = await inspectOwnKeys(this.home()).catch(() => undefined);
      const isOwn = home !== undefined && [home.nodeId, home.inception.name].includes(node);
      if (!isOwn) return await this.#toldByChain(node);
    }
    // Reading the home verifies its succession.
    const { nodeId, inception, states } = await inspectOwnKeys(this.home());
    const { name } = inception;
    return { source: 'home', name, nodeId, states, frozen: null, heights: new Map() };
  }

  async #toldByChain(id: string): Promise<Told> {
    const client = await this.client();
    const reply = await client.call('keys.history', { params: { id } });
    const { verifyHistory } = await import('../../core/keys/history.ts');
    const { fromHex } = await import('../../core/keys/material.ts');
    const { origin, nodeId, frozen } = reply;
    const { opened, states } = verifyHistory({
      nodeId,
      inception: fromBase64(reply.inception),
      origin: {
        consensusKey: fromHex(origin.consensusKey),
        possession: fromHex(origin.possession),
        vrfKey: fromHex(origin.vrfKey),
      },
      entries: reply.entries.map(({ bytes }) => fromBase64(bytes)),
    });
    const heights = new Map<number, number>();
    for (const [index, { height }] of reply.entries.entries()) {
      if (height !== null) heights.set(index + 1, height);
    }
    return { source: 'chain', name: opened.inception.name, nodeId, frozen, states, heights };
  }
}

const fromBase64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));
function replacedText({ number, replaced }: Entry): string {
  if (number === 0) return 'inception';
  return replaced.length === 0 ? 'none: expiries extended' : rolesText(replaced);
}

function entryOf(state: KeyState, height: number | null): Entry {
  const { number, digest, keyEpoch, changedAt, keys, expiresAt, last } = state;
  return {
    number,
    digest,
    keyEpoch,
    createdAt: new Date(changedAt).toISOString(),
    replaced: [...(last?.replaced ?? [])],
    reason: last?.reason ?? null,
    height,
    identityKey: hex(keys.identityKey),
    networkKey: hex(keys.networkKey),
    consensusKey: hex(keys.consensusKey),
    vrfKey: hex(keys.vrfKey),
    onionKey: hex(keys.onionKey),
    expiresAt: timesOf(expiresAt),
    graceMs: last?.graceMs ?? 0,
    sealed: last?.sealed ?? null,
  };
}
