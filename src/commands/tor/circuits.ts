/** `aegis tor circuits`: the circuits of Tor, and whom they carry. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import {
  carriesSomething,
  changeLine,
  circuitChanges,
  circuitsTable,
  streamsTable,
} from '../../cli/tor-circuits.ts';
import type { Client } from '../../core/api/client/client.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { TorCircuit } from '../../core/api/contract/tor.ts';

const INTERVAL_MS = 1000;

export default class TorCircuits extends BaseCommand<
  typeof TorCircuits,
  Reply<'tor.circuits'> | undefined
> {
  static override readonly summary = 'List the circuits of Tor, and whom they carry.';
  static override readonly description =
    'CARRIES is the peer and the lane (talk, or bulk for content) by the isolation of this node, ' +
    'or the start of the onion address that a circuit serves or seeks. A circuit that carries ' +
    'neither is one that Tor keeps ready or uses itself, or that of another program: with --all, ' +
    'and with --json, these are listed, too. With --watch: a line each time that a circuit ' +
    'comes, changes or goes, until Ctrl-C.';
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> tor circuits' },
    { description: 'And the streams in them', command: '<%= config.bin %> tor circuits --streams' },
    { description: 'See them come and go', command: '<%= config.bin %> tor circuits --watch' },
  ];
  static override readonly flags = {
    all: Flags.boolean({ char: 'a', description: 'Also list those that Tor has for itself.' }),
    streams: Flags.boolean({ description: 'Also list the streams.', exclusive: ['watch'] }),
    watch: Flags.boolean({ description: 'Go on, and tell each change.' }),
  };

  protected override async work(): Promise<Reply<'tor.circuits'> | undefined> {
    const client = await this.client();
    if (this.flags.watch) return await this.#watch(client);
    return await client.call('tor.circuits', { query: { streams: this.flags.streams } });
  }

  protected override view({ circuits, streams }: Reply<'tor.circuits'>): string {
    if (circuits.length === 0) return 'Tor has no circuits yet';
    const { bold } = this.paint;
    const listed = circuits.filter((circuit) => this.#isListed(circuit));
    const others = circuits.length - listed.length;
    const table = listed.length === 0 ? [] : [circuitsTable(listed, bold)];
    const rest = others === 0 ? [] : [`${others} more that Tor has for itself: --all`];
    const open = streams?.length === 0 ? 'no streams' : streamsTable(streams ?? [], bold);
    return [...table, ...rest, ...(streams === null ? [] : [open])].join('\n\n');
  }

  #isListed(circuit: TorCircuit): boolean {
    return this.flags.all || carriesSomething(circuit);
  }

  async #watch(client: Client): Promise<undefined> {
    const signal = this.interruption();
    let before: readonly TorCircuit[] = [];
    for (;;) {
      const { circuits } = await client.call('tor.circuits', { signal });
      for (const change of circuitChanges(before, circuits)) {
        await this.emit(change, this.#isListed(change.circuit) ? changeLine(change) : undefined);
      }
      before = circuits;
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
