/** `aegis chain import`: takes a file with blocks, or a snapshot, into this home. */
import { createReadStream } from 'node:fs';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted, shortDigest } from '../../cli/chain.ts';
import { ownGenesis } from '../../cli/cluster.ts';
import { facts, safeText } from '../../cli/format.ts';
import { HeightLine, loadImport, SILENT } from '../../cli/history.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ChainImportOutput } from '../../core/api/contract/chain.ts';
import { loadSettings } from '../../core/config/settings.ts';
import { AegisError } from '../../core/errors.ts';
import { statIfPresent } from '../../core/files.ts';

export default class ChainImport extends BaseCommand<typeof ChainImport, ChainImportOutput> {
  static override readonly summary = 'Take blocks or a snapshot from a file.';
  static override readonly description =
    'Takes what `chain export` or `chain snapshot` wrote into this home, as if a peer had sent ' +
    'it: verified against the genesis, or the checkpoint of the settings, and every block ' +
    'executed. The node must be stopped, and its home must be in the cluster. What does not hold ' +
    'is named and not taken; what came before it stays. Broken off, it goes on where it was when ' +
    'it is called again.';
  static override readonly examples = [
    {
      description: 'Blocks, or a snapshot',
      command: '<%= config.bin %> chain import history.aegis',
    },
    {
      description: 'A compressed file',
      command: 'zstd -dc part.zst | <%= config.bin %> chain import -',
    },
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'The file; - is standard input.' }),
  };

  protected override async work(): Promise<ChainImportOutput> {
    const { file } = this.args;
    const signal = this.interruption();
    const paths = this.home();
    const { nodeId: self } = await inspectOwnKeys(paths);
    const { genesis } = await ownGenesis(paths);
    const { settings } = await loadSettings(paths, process.env);
    const { importHistory, invitedBy } = await loadImport();
    const line = new HeightLine('taking', { quiet: this.flags.quiet, json: this.json });
    const told = (height: number, to: number): void => line.tell(height, to);
    try {
      const bytes = await open(file);
      const invited = await invitedBy(paths, genesis, self);
      const options = { genesis, self, settings, invited, bytes };
      const imported = await importHistory(paths, options, { log: SILENT, signal, told });
      const { before, height } = imported;
      const blocks = imported.kind === 'blocks' ? height - before : 0;
      const { clusterId } = genesis;
      return { schema: 'aegis.chain.import/1', clusterId, ...imported, blocks };
    } finally {
      line.end();
    }
  }

  protected override view(result: ChainImportOutput): string {
    const { kind, before, height, blocks, digest } = result;
    const news = kind === 'blocks' ? counted(blocks, 'block') : `the state at height ${height}`;
    return facts([
      ['taken', height === before ? 'nothing: this home has it all' : news],
      ['height', `${height}${height === before ? '' : `, before ${before}`}`],
      ['last block', shortDigest(digest)],
    ]);
  }
}

async function open(file: string): Promise<AsyncIterable<Uint8Array>> {
  if (file === '-') return process.stdin as AsyncIterable<Uint8Array>;
  if ((await statIfPresent(file)) === undefined) {
    throw new AegisError('NOT_FOUND', `there is no ${safeText(file)}`);
  }
  return createReadStream(file, { highWaterMark: 256 * 1024 });
}
