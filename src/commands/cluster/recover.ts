/** `aegis cluster recover`: how a cluster goes on that has lost its quorum for ever. */
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { clusterText, describeCluster } from '../../cli/cluster.ts';
import { PUBLIC_MODE, readDocument, requireAbsent, writeNewDocument } from '../../cli/documents.ts';
import { facts } from '../../cli/format.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { checkGoesOn, describeRecovery, readOwnState, recoveryText } from '../../cli/recovery.ts';
import { safeText } from '../../cli/text.ts';
import type { ClusterRecoverResult } from '../../core/api/contract/cluster.ts';
import type { OriginFile } from '../../core/chain/origin-file.ts';
import { AegisError, toAegisError } from '../../core/errors.ts';
import { syncDirectory } from '../../core/files.ts';
import type { Genesis } from '../../core/model/genesis.ts';

/** Longest bundle as text. */
const BUNDLE_TEXT_BYTES_MAX = 128 * 1024;

export default class ClusterRecover extends BaseCommand<
  typeof ClusterRecover,
  ClusterRecoverResult
> {
  static override readonly summary = 'Go on after the quorum is lost for ever.';
  static override readonly description =
    'For a cluster of which so many custodians are gone that nothing becomes final any more. ' +
    'Those who are left, and others, make a new cluster that begins with the state of the old ' +
    'one. Without bundles it prints that state. Every new custodian signs for it (`cluster ' +
    'bundle --recover`); with their bundles this command makes the genesis, which all of them ' +
    'join (`cluster join`). The node of this home must be stopped. Should the lost custodians ' +
    'come back after all, their cluster is another one: see to it that nobody uses both.';
  static override readonly examples = [
    { description: 'The state of this home', command: '<%= config.bin %> cluster recover' },
    {
      description: 'Make the genesis, and a file of the state for who does not have it',
      command:
        '<%= config.bin %> cluster recover a.bundle b.bundle c.bundle --out recovery.genesis ' +
        '--state notes.state',
    },
  ];
  static override readonly args = {
    bundles: Args.string({
      ignoreStdin: true,
      multiple: true,
      description: 'Files with the bundles, one for each node of the cluster that goes on.',
    }),
  };
  static override readonly flags = {
    out: Flags.string({
      char: 'o',
      default: '-',
      helpValue: '<file>',
      description: 'Where to write the genesis; - is standard output.',
    }),
    state: Flags.string({
      helpValue: '<file>',
      description: 'Write the state there, for `cluster join --state`.',
    }),
  };

  protected override async work(): Promise<ClusterRecoverResult> {
    const { out, state } = this.flags;
    const paths = this.home();
    const { nodeId } = await inspectOwnKeys(paths);
    const { bundles = [] } = this.args;
    if (bundles.length > 0 && out !== '-') await requireAbsent(out);
    if (state !== undefined) await requireAbsent(state);
    const { genesis: before, origin } = await readOwnState(paths);
    const made = bundles.length === 0 ? undefined : await this.#make(bundles, before, origin);
    if (state !== undefined) await writeState(state, origin);
    if (made !== undefined && out !== '-') await writeNewDocument(out, made.text, PUBLIC_MODE);
    const recovery = describeRecovery(origin.head);
    const consent = recoveryText(recovery);
    if (made === undefined) {
      this.note(`Next, on every new custodian: aegis cluster bundle --recover ${consent}`);
      this.note('Then here: aegis cluster recover BUNDLE... --out GENESIS --state FILE');
    } else {
      const genesis = out === '-' ? 'GENESIS' : out;
      this.note(`Next, on all of them: aegis cluster join ${genesis}`);
      this.note(`Who has not this state: aegis cluster join ${genesis} --state ${state ?? 'FILE'}`);
    }
    return {
      schema: 'aegis.cluster.recover/1',
      ...recovery,
      consent,
      cluster: made === undefined ? null : describeCluster(made.genesis, nodeId),
      genesis: made?.text ?? null,
      out: made === undefined || out === '-' ? null : out,
      state: state ?? null,
    };
  }

  protected override view(result: ClusterRecoverResult): string {
    const { cluster, genesis, out } = result;
    if (cluster === null) {
      return facts([
        ['cluster id', result.clusterId],
        ['height', String(result.height)],
        ['state root', result.stateRoot],
        ['to sign for', result.consent],
        ['state', result.state === null ? undefined : safeText(result.state)],
      ]);
    }
    return out === null ? genesis! : clusterText(cluster);
  }

  async #make(
    files: readonly string[],
    before: Genesis,
    origin: OriginFile,
  ): Promise<{ readonly genesis: Genesis; readonly text: string }> {
    const { head } = origin;
    const { createGenesis, genesisToText, openGenesis } = await import(
      '../../core/model/genesis.ts'
    );
    const { bundleFromText, openBundle } = await import('../../core/model/bundle.ts');
    const bundles: Uint8Array[] = [];
    for (const file of files) {
      try {
        const text = Buffer.from(await readDocument(file, BUNDLE_TEXT_BYTES_MAX)).toString(
          'latin1',
        );
        const bytes = bundleFromText(text);
        const { recovery } = openBundle(bytes).bundle;
        if (recovery !== undefined) requireThis(head, recovery);
        bundles.push(bytes);
      } catch (error) {
        const { code, message, hint } = toAegisError(error);
        throw new AegisError(code, `${file}: ${message}`, {
          ...(hint ? { hint } : {}),
          cause: error,
        });
      }
    }
    const { name, names } = before;
    const bytes = createGenesis({ name, createdAt: Date.now(), bundles, names: names.key });
    const genesis = openGenesis(bytes);
    if (genesis.origin !== undefined) {
      await checkGoesOn(genesis, origin);
      return { genesis, text: genesisToText(bytes) };
    }
    const consent = recoveryText(describeRecovery(head));
    throw new AegisError('BAD_REQUEST', 'the bundles agree to no recovery', {
      hint: `Make them again: aegis cluster bundle --recover ${consent}`,
    });
  }
}

function requireThis(head: OriginFile['head'], recovery: OriginFile['head']): void {
  const [own, theirs] = [head, recovery].map((one) => recoveryText(describeRecovery(one)));
  if (own === theirs) return;
  throw new AegisError('CHECK_FAILED', `it agrees to another state: ${theirs}`, {
    hint: `This home has ${own}`,
  });
}

/** Part by part: a state may be large. */
async function writeState(path: string, origin: OriginFile): Promise<void> {
  const { encodeOrigin } = await import('../../core/chain/origin-file.ts');
  const file = await open(path, 'wx', 0o600);
  try {
    for (const part of encodeOrigin(origin)) await file.write(part);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(resolve(path)));
}
