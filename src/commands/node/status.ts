/** `aegis node status`: what the node is doing now. */
import { BaseCommand } from '../../cli/base.ts';
import { ago, bytes, facts, safeText, span } from '../../cli/format.ts';
import { summaryText } from '../../cli/tor.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class NodeStatus extends BaseCommand<typeof NodeStatus, Reply<'node.status'>> {
  static override readonly summary = 'Show what the node is doing.';
  static override readonly description =
    'Asks the running node of this home for its state, its peers, what it keeps and uses. ' +
    'Exit status 69 means that no daemon answers.';
  static override readonly examples = [
    { description: 'Show the state', command: '<%= config.bin %> node status' },
    {
      description: 'The number of connected peers, for a script',
      command: '<%= config.bin %> node status --json | jq .peers.connected',
    },
  ];

  protected override async work(): Promise<Reply<'node.status'>> {
    const client = await this.client();
    return await client.call('node.status');
  }

  protected override view(status: Reply<'node.status'>): string {
    const { kb, peers, resources, clusterName, clusterId } = status;
    const behind = kb.underReplicated > 0 ? `, ${kb.underReplicated} under-replicated` : '';
    return facts([
      ['state', this.#state(status)],
      ['node', `${safeText(status.name)} ${status.nodeId}`],
      ['zone', safeText(status.zone)],
      ['peer id', status.peerId],
      ['cluster', clusterId === null ? 'none' : `${safeText(clusterName ?? '')} ${clusterId}`],
      ['listens', status.addresses.join(' ') || 'nowhere'],
      ['route', summaryText(status.tor, this.paint)],
      ['peers', `${peers.connected} of ${peers.known} connected`],
      ['chain', this.#chain(status)],
      ['keys', this.#keys(status)],
      ['documents', `${kb.paths} paths, ${kb.versions} versions${behind}`],
      ['objects', `${kb.objects} objects, ${bytes(kb.sizeBytes)}`],
      ['memory', `${bytes(resources.rssBytes)} (heap ${bytes(resources.heapBytes)})`],
      ['processor', `${resources.cpuPercent.toFixed(1)} % of a core`],
      ['loop lag', `${resources.loopLagMsP99.toFixed(1)} ms (99th percentile)`],
      ['process', `${status.pid}, aegis ${status.version}`],
    ]);
  }

  #chain({ chain }: Reply<'node.status'>): string {
    if (chain === null) return 'none';
    const { height, lastFinalAt, behind, isVoting, pending } = chain;
    const when = lastFinalAt === null ? '' : `, ${ago(lastFinalAt)}`;
    const parts = [
      height === 0 ? 'no block yet' : `height ${height}${when}`,
      ...(behind > 0 ? [this.paint.yellow(`${behind} behind`)] : []),
      ...(isVoting ? ['votes'] : []),
      ...(pending > 0 ? [`${pending} own pending`] : []),
    ];
    return parts.join(', ');
  }

  /** Nothing as long as there is nothing to say: the first keys, far from their expiry. */
  #keys({ keys }: Reply<'node.status'>): string | undefined {
    if (keys === null) return undefined;
    const { number, keyEpoch, pending, warnings } = keys;
    const parts = [
      ...(number > 0 ? [`changed ${times(number)}, key epoch ${keyEpoch}`] : []),
      ...(pending === null ? [] : [this.paint.yellow(`change ${pending} waits to be final`)]),
      ...warnings.map((warning) => this.paint.yellow(safeText(warning))),
    ];
    return parts.length === 0 ? undefined : parts.join('; ');
  }

  #state({ state, uptimeMs }: Reply<'node.status'>): string {
    const paint = state === 'ready' ? this.paint.green : this.paint.yellow;
    return `${paint(state)}, up ${span(uptimeMs)}`;
  }
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`);
