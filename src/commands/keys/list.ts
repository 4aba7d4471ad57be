/** `aegis keys list`: the public parts of this home's keys. Needs no passphrase. */
import { BaseCommand } from '../../cli/base.ts';
import { facts, table } from '../../cli/format.ts';
import { describeKey, warningsOf } from '../../cli/keys.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysListResult } from '../../core/api/contract/keys.ts';
import { bytesOfHex, hex } from '../../core/bytes.ts';
import type { Inspection } from '../../core/keys/home.ts';
import type { RetiringRole } from '../../core/keys/layout.ts';

export default class KeysList extends BaseCommand<typeof KeysList, KeysListResult> {
  static override readonly summary = 'List the keys of this node.';
  static override readonly description =
    'Shows who this node is and which keys lie in its home. Secrets stay encrypted; no ' +
    'passphrase is needed. The successor of the identity key is missing here once it has been ' +
    'moved away, as it should be. Warns of keys that expire within 30 days (they work on all the ' +
    'same), of a rotation that is not final, and of keys that are not in this home.';
  static override readonly examples = [
    { description: 'List the keys', command: '<%= config.bin %> keys list' },
    {
      description: 'The node id, for a script',
      command: '<%= config.bin %> keys list --json | jq -r .nodeId',
    },
  ];

  protected override async work(): Promise<KeysListResult> {
    const paths = this.home();
    const home = await inspectOwnKeys(paths);
    const { inception, nodeId, keys, current, pending, lost, restored } = home;
    const { fingerprint } = await import('../../core/model/bundle.ts');
    const { peerIdOf } = await import('../../core/model/identity.ts');
    const { onionAddressOf } = await import('../../core/crypto/onion.ts');
    const { name, zone, region, createdAt } = inception;
    const now = Date.now();
    const described = keys.map((key) => describeKey(key, home, fingerprint, now));
    for (const key of described.filter((one) => !one.private)) {
      this.note(`aegis: warning: other users can read ${key.path}; repair it: chmod 600`);
    }
    const warnings = warningsOf(home, now);
    for (const warning of warnings) this.note(`aegis: warning: ${warning}`);
    return {
      schema: 'aegis.keys.list/1',
      nodeId,
      fingerprint: fingerprint(nodeId),
      peerId: peerIdOf(current.keys.networkKey),
      onionAddress: onionAddressOf(current.keys.onionKey),
      name,
      zone,
      region,
      createdAt: new Date(createdAt).toISOString(),
      keysDir: paths.keys,
      keys: described,
      number: current.number,
      keyEpoch: current.keyEpoch,
      pending:
        pending === undefined
          ? null
          : { number: pending.after.number, replaced: [...pending.entry.succession.replaced] },
      missing: lost.filter((role) => !keys.some((key) => key.role === role)),
      retired: retiredIn(home, 'network').map(({ publicKey, until }) => ({
        publicKey: hex(publicKey),
        peerId: peerIdOf(publicKey),
        until,
      })),
      retiredOnion: retiredIn(home, 'onion').map(({ publicKey, until }) => ({
        publicKey: hex(publicKey),
        address: onionAddressOf(publicKey),
        until,
      })),
      restored: restored !== undefined,
      warnings,
    };
  }

  protected override view(result: KeysListResult): string {
    const head = facts([
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['fingerprint', result.fingerprint],
      ['peer id', result.peerId],
      ['onion', result.onionAddress],
      ['zone', safeText(result.zone)],
      ['region', safeText(result.region)],
      ['entry', `${result.number}, key epoch ${result.keyEpoch}`],
      ...result.retired.map(
        ({ peerId, until }) => ['old peer id', `${peerId}, accepted until ${until}`] as const,
      ),
      ...result.retiredOnion.map(
        ({ address, until }) => ['old onion', `${address}, until ${until}`] as const,
      ),
    ]);
    const keys = table(result.keys, [
      { title: 'KEY', cell: (key) => key.role },
      { title: 'PUBLIC KEY', cell: (key) => key.publicKey },
      { title: 'CREATED', cell: (key) => key.createdAt },
      { title: 'DAYS LEFT', cell: (key) => key.daysLeft, align: 'right' },
      { title: 'FILE', cell: (key) => key.path },
    ]);
    return `${head}\n\n${keys}`;
  }
}

const retiredIn = ({ retired }: Inspection, role: RetiringRole) =>
  retired
    .filter((one) => one.role === role)
    .map(({ file, until }) => ({
      publicKey: bytesOfHex(file.public.key),
      until: new Date(until).toISOString(),
    }));
