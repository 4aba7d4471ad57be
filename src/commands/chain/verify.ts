/** `aegis chain verify`: whether the history in this home holds. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted, shortDigest } from '../../cli/chain.ts';
import { facts } from '../../cli/format.ts';
import { HeightLine, loadExport, loadVerify, openOwnHistory } from '../../cli/history.ts';
import type { ChainVerifyOutput } from '../../core/api/contract/chain.ts';
import { AegisError, hasCode } from '../../core/errors.ts';

export default class ChainVerify extends BaseCommand<typeof ChainVerify, ChainVerifyOutput> {
  static override readonly summary = 'Verify the history of this home.';
  static override readonly description =
    'Reads what is on the disk and believes none of it. Where all blocks are there, each is ' +
    'executed anew from the genesis on, and each state compared. Of a part it is verified that ' +
    'the blocks hang together, that certificates of custodians who follow from the genesis are ' +
    'for them, and that the state on the disk is that of the last block. The node may run; it is ' +
    'not asked. Ends with 1 and the first fault when something does not hold. To have other ' +
    'nodes verify theirs: aegis peers audit.';
  static override readonly examples = [
    { description: 'All that is here', command: '<%= config.bin %> chain verify' },
    {
      description: 'The last blocks only, by their signatures',
      command: '<%= config.bin %> chain verify --from 48000',
    },
  ];
  static override readonly flags = {
    from: Flags.integer({
      min: 1,
      helpValue: '<height>',
      description: 'Where to begin. Default: the lowest height that is kept.',
    }),
  };

  protected override async work(): Promise<ChainVerifyOutput> {
    const signal = this.interruption();
    const paths = this.home();
    const { genesis, reader } = await openOwnHistory(paths);
    const line = new HeightLine('verifying', { quiet: this.flags.quiet, json: this.json });
    const begun = performance.now();
    try {
      const { stretchOf } = await loadExport();
      const history = await loadVerify();
      using state = history.readState(paths.chainDb, genesis);
      const { tip } = state.ledger;
      const { from } = this.flags;
      const stretch = await stretchOf(reader, { from, to: tip.height });
      const told = (height: number): void => line.tell(height, stretch.to);
      const digest = await history.verifyHistory(reader, genesis, stretch, { told, signal });
      if (stretch.to === tip.height && digest !== tip.digest) {
        throw new AegisError('BAD_DATA', `height ${tip.height}: the state is of another block`);
      }
      return {
        schema: 'aegis.chain.verify/1',
        clusterId: genesis.clusterId,
        ...stretch,
        blocks: stretch.to - stretch.from + 1,
        depth: history.depthOf(genesis, stretch),
        digest,
        stateRoot: Buffer.from(tip.header?.stateRoot ?? []).toString('hex'),
        tookMs: Math.round(performance.now() - begun),
      };
    } catch (error) {
      throw hasCode(error, 'BAD_DATA') ? refused(error) : error;
    } finally {
      line.end();
      reader.close();
    }
  }

  protected override view({ from, to, blocks, depth, digest }: ChainVerifyOutput): string {
    const how =
      depth === 'genesis'
        ? 'executed anew from the genesis on'
        : 'blocks, certificates and hand-overs; the state is that of the last block';
    return facts([
      ['verified', `${counted(blocks, 'block')}, heights ${from} to ${to}`],
      ['how', how],
      ['last block', shortDigest(digest)],
    ]);
  }
}

/** What was asked is answered: it does not hold. */
const refused = ({ message, details }: AegisError): AegisError =>
  new AegisError('CHECK_FAILED', `the history of this home does not hold: ${message}`, {
    hint: 'Set the chain aside and start the node: it takes the history from the others.',
    details,
  });
