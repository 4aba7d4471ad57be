/** `aegis node info`: what does not change while the node runs. */
import { BaseCommand } from '../../cli/base.ts';
import { facts, safeText } from '../../cli/format.ts';
import { routeText } from '../../cli/tor.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class NodeInfo extends BaseCommand<typeof NodeInfo, Reply<'node.info'>> {
  static override readonly summary = 'Show who the node is and where its files are.';
  static override readonly examples = [
    { description: 'Show all facts', command: '<%= config.bin %> node info' },
    {
      description: 'The log file, for a script',
      command: '<%= config.bin %> node info --json | jq -r .logFile',
    },
  ];

  protected override async work(): Promise<Reply<'node.info'>> {
    const client = await this.client();
    return await client.call('node.info');
  }

  protected override view(info: Reply<'node.info'>): string {
    const { clusterId, clusterName } = info;
    return facts([
      ['node', `${safeText(info.name)} ${info.nodeId}`],
      ['fingerprint', info.fingerprint],
      ['peer id', info.peerId],
      ['zone', safeText(info.zone)],
      ['region', safeText(info.region)],
      ['created', info.createdAt],
      ['cluster', clusterId === null ? 'none' : `${safeText(clusterName ?? '')} ${clusterId}`],
      ['role', info.role ?? 'none'],
      ['members', `${info.members} nodes, ${info.quorum} of ${info.custodians} custodians decide`],
      ['replicas', `${info.replicasWanted} wanted`],
      ['weight', `${info.storageWeight} of 1000`],
      ['route', routeText(info.tor.route)],
      ['onion', info.tor.onion === null ? undefined : safeText(info.tor.onion)],
      ['home', safeText(info.home)],
      ['socket', safeText(info.socket)],
      ['log', safeText(info.logFile)],
      ['process', `${info.pid}, since ${info.startedAt}`],
      ['software', `aegis ${info.version}, Node ${info.nodeVersion}, ${info.platform}`],
    ]);
  }
}
