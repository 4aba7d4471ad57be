/** `aegis chain snapshot`: the state of this home as a file. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { shortDigest } from '../../cli/chain.ts';
import { bytes, facts, safeText } from '../../cli/format.ts';
import { loadExport, loadVerify, openOwnHistory, writeHistory } from '../../cli/history.ts';
import type { ChainSnapshotOutput } from '../../core/api/contract/chain.ts';
import { AegisError } from '../../core/errors.ts';

export default class ChainSnapshot extends BaseCommand<
  typeof ChainSnapshot,
  ChainSnapshotOutput | undefined
> {
  static override readonly summary = 'Write the state after the last block into a file.';
  static override readonly description =
    'The file holds the state at the last final height of this home, and the header, certificate ' +
    'and hand-overs that lead to it from the genesis. `chain import` verifies it and takes it ' +
    'into a home that has fewer blocks: a new node then needs no block before that height. The ' +
    'node may run. Documents are not in it, nor keys; names in it are encrypted with a key that ' +
    'follows from the genesis.';
  static override readonly examples = [
    { description: 'Into a file', command: '<%= config.bin %> chain snapshot state.aegis' },
    {
      description: 'Straight to another machine',
      command: '<%= config.bin %> chain snapshot - | ssh new aegis chain import -',
    },
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'The file to make; - is standard output.' }),
  };

  protected override async work(): Promise<ChainSnapshotOutput | undefined> {
    const { file } = this.args;
    const signal = this.interruption();
    const paths = this.home();
    const { genesis, reader } = await openOwnHistory(paths);
    reader.close();
    const { exportSnapshot } = await loadExport();
    const { readState } = await loadVerify();
    const { clusterId } = genesis;
    using state = readState(paths.chainDb, genesis);
    const { ledger, leaders } = state;
    const { tip, tree } = ledger;
    const frames = exportSnapshot(clusterId, ledger, leaders);
    const sizeBytes = await writeHistory(file, inTurn(frames), signal);
    if (file === '-') return undefined;
    if (tip.header === undefined) throw new AegisError('NOT_FOUND', 'no block is final here');
    const { height, digest } = tip;
    const stateRoot = Buffer.from(tree.root).toString('hex');
    const what = { clusterId, height, digest, stateRoot, leaves: tree.size, sizeBytes, file };
    return { schema: 'aegis.chain.snapshot/1', ...what };
  }

  protected override view({ height, digest, leaves, sizeBytes, file }: ChainSnapshotOutput) {
    return facts([
      ['height', String(height)],
      ['block', shortDigest(digest)],
      ['state', `${leaves} keys`],
      ['size', bytes(sizeBytes)],
      ['file', safeText(file)],
    ]);
  }
}

async function* inTurn(frames: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const frame of frames) yield await Promise.resolve(frame);
}
