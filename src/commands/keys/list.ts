/** `aegis keys list`: the public parts of this home's keys. Needs no passphrase. */
import { BaseCommand } from '../../cli/base.ts';
import { facts, table } from '../../cli/format.ts';
import { describeKey } from '../../cli/keys.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysListResult } from '../../core/api/contract/keys.ts';

export default class KeysList extends BaseCommand<typeof KeysList, KeysListResult> {
  static override readonly summary = 'List the keys of this node.';
  static override readonly description =
    'Shows who this node is and which keys lie in its home. Secrets stay encrypted; no ' +
    'passphrase is needed. The successor of the identity key is missing here once it has been ' +
    'moved away, as it should be.';
  static override readonly examples = [
    { description: 'List the keys', command: '<%= config.bin %> keys list' },
    {
      description: 'The node id, for a script',
      command: '<%= config.bin %> keys list --json | jq -r .nodeId',
    },
  ];

  protected override async work(): Promise<KeysListResult> {
    const paths = this.home();
    const { inception, nodeId, keys } = await inspectOwnKeys(paths);
    const { fingerprint } = await import('../../core/model/bundle.ts');
    const { peerIdOf } = await import('../../core/model/identity.ts');
    const { name, zone, region, createdAt, networkKey } = inception;
    const described = keys.map(describeKey);
    for (const key of described.filter((one) => !one.private)) {
      this.note(`aegis: warning: other users can read ${key.path}; repair it: chmod 600`);
    }
    return {
      schema: 'aegis.keys.list/1',
      nodeId,
      fingerprint: fingerprint(nodeId),
      peerId: peerIdOf(networkKey),
      name,
      zone,
      region,
      createdAt: new Date(createdAt).toISOString(),
      keysDir: paths.keys,
      keys: described,
    };
  }

  protected override view(result: KeysListResult): string {
    const head = facts([
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['fingerprint', result.fingerprint],
      ['peer id', result.peerId],
      ['zone', safeText(result.zone)],
      ['region', safeText(result.region)],
    ]);
    const keys = table(result.keys, [
      { title: 'KEY', cell: (key) => key.role },
      { title: 'PUBLIC KEY', cell: (key) => key.publicKey },
      { title: 'CREATED', cell: (key) => key.createdAt },
      { title: 'FILE', cell: (key) => key.path },
    ]);
    return `${head}\n\n${keys}`;
  }
}
