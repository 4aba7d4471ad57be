/** `aegis cluster create`: a genesis from the bundles of its custodians. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { checkMember, clusterText, describeCluster } from '../../cli/cluster.ts';
import { enterCluster } from '../../cli/clusters.ts';
import { PUBLIC_MODE, readDocument, requireAbsent, writeNewDocument } from '../../cli/documents.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { ClusterCreateResult } from '../../core/api/contract/cluster.ts';
import { withCluster } from '../../core/config/home.ts';
import { AegisError, toAegisError } from '../../core/errors.ts';
import { statIfPresent, writeFileAtomic } from '../../core/files.ts';
import { PROTOCOL } from '../../core/model/protocol.ts';

export default class ClusterCreate extends BaseCommand<typeof ClusterCreate, ClusterCreateResult> {
  static override readonly summary = 'Make a new cluster from the bundles of its nodes.';
  static override readonly description =
    'Checks every bundle, refuses duplicates, and writes the genesis of the cluster into this ' +
    'home and into a file for the others, who take it with `aegis cluster join`. The bundle of ' +
    'this node must be among them. Compare the fingerprints with their owners first.';
  static override readonly examples = [
    {
      description: 'Three nodes',
      command: '<%= config.bin %> cluster create a.bundle b.bundle c.bundle --name notes --out g',
    },
  ];
  static override readonly args = {
    bundles: Args.string({
      required: true,
      multiple: true,
      description: 'Files with the bundles, one for each node; - reads one from standard input.',
    }),
  };
  static override readonly flags = {
    name: Flags.string({
      required: true,
      helpValue: '<name>',
      description: 'Name of the cluster, for people.',
    }),
    protocol: Flags.integer({
      min: 1,
      max: PROTOCOL.max,
      default: PROTOCOL.max,
      helpValue: '<number>',
      description: 'Protocol version of the first block; a lower one can be raised later.',
    }),
    out: Flags.string({
      helpValue: '<file>',
      description: 'Write the genesis for the others here; - is standard output.',
    }),
  };

  protected override async work(): Promise<ClusterCreateResult> {
    const { name, out, protocol } = this.flags;
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(withCluster(paths, undefined));
    await this.#requireNoCluster();
    if (out !== undefined && out !== '-') await requireAbsent(out);
    const { createGenesis, genesisToText, openGenesis } = await import(
      '../../core/model/genesis.ts'
    );
    const bundles = await this.#readBundles();
    const bytes = createGenesis({ name, createdAt: Date.now(), bundles, protocol });
    const genesis = openGenesis(bytes);
    checkMember(genesis, nodeId);
    await enterCluster(paths, genesis);
    const text = genesisToText(bytes);
    if (out !== undefined && out !== '-') await writeNewDocument(out, text, PUBLIC_MODE);
    await writeFileAtomic(paths.genesis, bytes, { mode: 0o600 });
    this.note(`Next, on every other node: aegis cluster join ${out ?? 'GENESIS'}`);
    return {
      schema: 'aegis.cluster.create/1',
      ...describeCluster(genesis, nodeId),
      genesis: text,
      out: out === undefined || out === '-' ? null : out,
    };
  }

  protected override view(result: ClusterCreateResult): string {
    return this.flags.out === '-' ? result.genesis : clusterText(result);
  }

  async #requireNoCluster(): Promise<void> {
    const paths = this.home();
    if ((await statIfPresent(paths.genesis)) === undefined) return;
    throw new AegisError('EXISTS', `the node at ${paths.label} is in a cluster already`, {
      hint: 'See it: aegis cluster show. For one more give it a name: --cluster NAME',
    });
  }

  async #readBundles(): Promise<Uint8Array[]> {
    const { BUNDLE_BYTES_MAX, bundleFromText, openBundle } = await import(
      '../../core/model/bundle.ts'
    );
    const bundles: Uint8Array[] = [];
    for (const path of this.args.bundles) {
      const text = Buffer.from(await readDocument(path, BUNDLE_BYTES_MAX * 2)).toString('latin1');
      try {
        const bytes = bundleFromText(text);
        openBundle(bytes);
        bundles.push(bytes);
      } catch (error) {
        const { code, message, hint } = toAegisError(error);
        throw new AegisError(code, `${path}: ${message}`, hint === undefined ? {} : { hint });
      }
    }
    return bundles;
  }
}
