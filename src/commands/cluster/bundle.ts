/** `aegis cluster bundle`: what others need to take this node into a cluster. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags, passphraseFlags } from '../../cli/base.ts';
import { PUBLIC_MODE } from '../../cli/documents.ts';
import { facts } from '../../cli/format.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { consentOf, describeRecovery, recoveryText, requireSameState } from '../../cli/recovery.ts';
import { safeText } from '../../cli/text.ts';
import type { ClusterBundleResult } from '../../core/api/contract/cluster.ts';
import { loadSettings } from '../../core/config/settings.ts';
import type { RouteMode } from '../../core/config/tor-settings.ts';
import { AegisError } from '../../core/errors.ts';
import { statIfPresent, writeFileAtomic } from '../../core/files.ts';
import type { Recovery } from '../../core/model/bundle.ts';

export default class ClusterBundle extends BaseCommand<typeof ClusterBundle, ClusterBundleResult> {
  static override readonly summary = 'Write the public bundle of this node.';
  static override readonly description =
    'The bundle holds the identity, the role, the public keys and the addresses of this node, ' +
    'signed by its identity key. Give it to whoever runs `aegis cluster create`, and read the ' +
    'fingerprint to them over another channel. It holds no secret.';
  static override readonly examples = [
    {
      description: 'Into a file',
      command: '<%= config.bin %> cluster bundle --out alice.bundle',
    },
    {
      description: 'In favour of a recovery, as `cluster recover` has printed it',
      command: '<%= config.bin %> cluster bundle --recover aegisc1...:57:9f86... --out me.bundle',
    },
    {
      description: 'With the address under which others reach this node',
      command: '<%= config.bin %> cluster bundle --address /ip4/192.0.2.7/tcp/4001',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    ...confirmFlags,
    address: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      exclusive: ['no-address'],
      helpValue: '<address>',
      description:
        'Where others dial this node. Default: by the route its onion address, or the ' +
        'addresses of the settings, or both.',
    }),
    role: Flags.option({
      options: ['custodian', 'agent'] as const,
      default: 'custodian',
      helpValue: '<role>',
      description: 'What the node is to the cluster: a custodian votes, an agent does not.',
    })(),
    recover: Flags.string({
      helpValue: '<[cluster:]height:root>',
      description:
        'Agree that a new cluster goes on from this state of a cluster that has lost its quorum. ' +
        'A home of that cluster signs nothing but the state that it has.',
    }),
    'no-address': Flags.boolean({ description: 'This node dials others and cannot be dialled.' }),
    out: Flags.string({
      default: '-',
      helpValue: '<file>',
      description: 'Where to write the bundle; - is standard output.',
    }),
  };

  protected override async work(): Promise<ClusterBundleResult> {
    const { flags } = this;
    const paths = this.home();
    await requireOwnHome(paths);
    const recovery = await this.#recovery();
    const { settings } = await loadSettings(paths, process.env);
    const route = settings['tor.route'];
    const direct = await this.#addresses(settings['node.listen'], route);
    const storageWeight = settings['node.storageWeight'];
    if (flags.out !== '-' && (await statIfPresent(flags.out)) !== undefined) {
      await this.confirm(`overwrite ${flags.out}?`);
    }
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    const { Keystore } = await import('../../core/keys/keystore.ts');
    const { createBundle, bundleToText, fingerprint } = await import('../../core/model/bundle.ts');
    const { onionMultiaddr } = await import('../../core/crypto/onion.ts');
    using keystore = await Keystore.open({ dir: paths.keys, passphrase });
    const { nodeId, inception, inceptionBytes, signer, origin, succession } = keystore;
    const { role } = flags;
    // O2: the onion address of a node that has one, unless it says that nobody can dial it.
    const hasOnion = route !== 'off' && !flags['no-address'];
    const onion = hasOnion ? [onionMultiaddr(keystore.current.keys.onionKey)] : [];
    const addresses = [...new Set([...onion, ...direct])];
    const keys = { inception: inceptionBytes, role, ...origin, succession };
    const agreed = recovery === undefined ? {} : { recovery };
    const fields = { ...keys, addresses, storageWeight, createdAt: Date.now(), ...agreed };
    const bundle = bundleToText(createBundle(fields, signer));
    if (flags.out !== '-') await writeFileAtomic(flags.out, bundle, { mode: PUBLIC_MODE });
    const mark = fingerprint(nodeId);
    this.note(`Fingerprint, to read to the others over another channel: ${mark}`);
    return {
      schema: 'aegis.cluster.bundle/1',
      nodeId,
      name: inception.name,
      fingerprint: mark,
      role,
      addresses: [...addresses],
      storageWeight,
      recovery: recovery === undefined ? null : describeRecovery(recovery),
      bundle,
      out: flags.out === '-' ? null : flags.out,
    };
  }

  protected override view(result: ClusterBundleResult): string {
    if (result.out === null) return result.bundle;
    return facts([
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['fingerprint', result.fingerprint],
      ['role', result.role],
      ['addresses', result.addresses.length > 0 ? result.addresses.join(' ') : 'none'],
      ['recovers', result.recovery === null ? undefined : recoveryText(result.recovery)],
      ['file', safeText(result.out)],
    ]);
  }

  async #recovery(): Promise<Recovery | undefined> {
    const { recover } = this.flags;
    if (recover === undefined) return undefined;
    const paths = this.home();
    const recovery = await consentOf(paths, recover);
    const isKnown = await requireSameState(paths, recovery);
    if (!isKnown) {
      await this.confirm(`sign for a state that this home does not have (${recover})?`);
    }
    return recovery;
  }

  /** Addresses of the settings that mean something on another machine. */
  async #addresses(listen: readonly string[], route: RouteMode): Promise<readonly string[]> {
    const { address, 'no-address': none } = this.flags;
    if (none) return [];
    if (address !== undefined) {
      const { isAddress } = await import('../../core/model/bundle.ts');
      const bad = address.find((one) => !isAddress(one));
      const open = route === 'require' ? address.find((one) => !isOnion(one)) : undefined;
      if (open !== undefined) {
        throw new AegisError('USAGE', `the route is require, and ${open} is no onion address`, {
          hint: 'Leave --address out: the bundle says where the onion service is.',
        });
      }
      if (bad === undefined) return address;
      throw new AegisError('USAGE', `${bad} is not a multiaddr`, {
        hint: 'Write it as /ip4/192.0.2.7/tcp/4001 or /dns4/node.example/tcp/4001.',
      });
    }
    if (route === 'require') return [];
    const fixed = listen.filter(
      (one) => !/\/(?:tcp|udp)\/0(?:\/|$)|\/0\.0\.0\.0\/|\/::\//.test(one),
    );
    if (fixed.length > 0 || route !== 'off') return fixed;
    throw new AegisError('USAGE', 'the settings name no address under which others can dial', {
      hint: 'Give --address /ip4/192.0.2.7/tcp/4001, or --no-address if nobody can.',
    });
  }
}

const isOnion = (address: string): boolean => address.startsWith('/onion3/');
