/** `aegis chain prune`: forgets old blocks and gives their space back. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { ownGenesis } from '../../cli/cluster.ts';
import { bytes, facts } from '../../cli/format.ts';
import { loadPrune, SILENT } from '../../cli/history.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { KEEP_BLOCKS_MIN } from '../../core/config/settings.ts';
import { HomeLock } from '../../core/storage/home-lock.ts';

/** It takes as long as it takes. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

type Result = Reply<'chain.prune'>;

export default class ChainPrune extends BaseCommand<typeof ChainPrune, Result> {
  static override readonly summary = 'Forget old blocks.';
  static override readonly description =
    'Deletes the blocks before the last ones, and what became of their intents, and gives the ' +
    'space back to the disk. The state, the members and their keys, and the hand-overs stay: ' +
    'proofs of what stands now work as before, and nodes still join by a snapshot. What is ' +
    'deleted can come back from another node only. The node may run; it goes on voting. To have ' +
    'this done all the time, set `chain.keepBlocks`.';
  static override readonly examples = [
    {
      description: 'See what would go',
      command: '<%= config.bin %> chain prune --keep 1000 --dry-run',
    },
    {
      description: 'Keep the last 10,000 blocks',
      command: '<%= config.bin %> chain prune --keep 10000 --yes',
    },
    {
      description: 'Keep so many from now on',
      command:
        '<%= config.bin %> config set chain.keepBlocks 10000 && ' +
        '<%= config.bin %> chain prune --keep 10000 --yes',
    },
  ];
  static override readonly flags = {
    ...confirmFlags,
    keep: Flags.integer({
      required: true,
      min: KEEP_BLOCKS_MIN,
      helpValue: '<number>',
      description: `How many of the last blocks stay; at least ${KEEP_BLOCKS_MIN}.`,
    }),
    'dry-run': Flags.boolean({ description: 'Delete nothing; say what would go.' }),
  };

  protected override async work(): Promise<Result> {
    const paths = this.home();
    await requireOwnHome(paths);
    const { keep, 'dry-run': dryRun } = this.flags;
    const planned = await this.#prune(keep, true);
    if (dryRun || planned.blocks === 0) return { ...planned, dryRun };
    await this.confirm(`delete ${counted(planned.blocks, 'block')} from this home?`);
    return await this.#prune(keep, false);
  }

  async #prune(keep: number, dryRun: boolean): Promise<Result> {
    const paths = this.home();
    const signal = this.interruption();
    const { held } = await HomeLock.inspect(paths.lock);
    if (held) {
      const client = await this.client({ timeoutMs: this.timeoutMs(TIMEOUT_MS) });
      return await client.call('chain.prune', { body: { keep, dryRun }, signal });
    }
    const { genesis } = await ownGenesis(paths);
    const { pruneOffline } = await loadPrune();
    const pruned = await pruneOffline(paths, genesis, { keep, dryRun, signal, log: SILENT });
    return { schema: 'aegis.chain.prune/1', ...pruned, dryRun };
  }

  protected override view(result: Result): string {
    const { from, base, height, blocks, bytesBefore, bytesAfter, dryRun } = result;
    const freed = Math.max(0, bytesBefore - bytesAfter);
    const gone = blocks === 0 ? 'none' : `${counted(blocks, 'block')} from height ${from}`;
    return facts([
      [dryRun ? 'would go' : 'deleted', gone],
      ['kept', `${counted(height - base + 1, 'block')}, heights ${base} to ${height}`],
      ['on disk', bytes(bytesAfter)],
      ['freed', dryRun ? undefined : `${bytes(freed)} of ${bytes(bytesBefore)}`],
    ]);
  }
}
