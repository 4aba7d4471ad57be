/** `aegis chain export`: the blocks of this home as a file. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { bytes, facts, safeText } from '../../cli/format.ts';
import { HeightLine, loadExport, openOwnHistory, writeHistory } from '../../cli/history.ts';
import type { ChainExportOutput } from '../../core/api/contract/chain.ts';

export default class ChainExport extends BaseCommand<
  typeof ChainExport,
  ChainExportOutput | undefined
> {
  static override readonly summary = 'Write the final blocks into a file.';
  static override readonly description =
    'The file holds blocks, certificates that show them to be final, and the hand-overs before ' +
    'them. `chain import` verifies it and takes it into a home of the same cluster. The node may ' +
    'run. It ends at a block that has a certificate, which may be a few heights after --to. It ' +
    'holds no keys; names in it are encrypted with a key that follows from the genesis.';
  static override readonly examples = [
    { description: 'All of it', command: '<%= config.bin %> chain export history.aegis' },
    {
      description: 'A part, compressed',
      command: '<%= config.bin %> chain export - --from 1 --to 5000 | zstd > part.zst',
    },
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'The file to make; - is standard output.' }),
  };
  static override readonly flags = {
    from: Flags.integer({
      min: 1,
      helpValue: '<height>',
      description: 'The first height. Default: the lowest that is kept.',
    }),
    to: Flags.integer({
      min: 1,
      helpValue: '<height>',
      description: 'The last height. Default: the last final one.',
    }),
  };

  protected override async work(): Promise<ChainExportOutput | undefined> {
    const { file } = this.args;
    const { from, to, quiet } = this.flags;
    const signal = this.interruption();
    const { genesis, reader } = await openOwnHistory(this.home());
    const line = new HeightLine('writing', { quiet, json: this.json });
    try {
      const { exportHistory, stretchOf } = await loadExport();
      const { clusterId } = genesis;
      const stretch = await stretchOf(reader, { from, to });
      let handovers = 0;
      const frames = exportHistory(reader, clusterId, stretch, (progress) => {
        ({ handovers } = progress);
        line.tell(progress.height, stretch.to);
      });
      const sizeBytes = await writeHistory(file, frames, signal);
      if (file === '-') return undefined;
      const blocks = stretch.to - stretch.from + 1;
      const what = { clusterId, ...stretch, blocks, handovers, sizeBytes, file };
      return { schema: 'aegis.chain.export/1', ...what };
    } finally {
      line.end();
      reader.close();
    }
  }

  protected override view({ from, to, blocks, sizeBytes, file }: ChainExportOutput): string {
    return facts([
      ['blocks', `${counted(blocks, 'block')}, heights ${from} to ${to}`],
      ['size', bytes(sizeBytes)],
      ['file', safeText(file)],
    ]);
  }
}
