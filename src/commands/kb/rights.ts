/** `aegis kb rights`: who may write under a path. */
import { kbPathArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { whosText } from '../../cli/chain.ts';
import { facts, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class KbRights extends BaseCommand<typeof KbRights, Reply<'kb.rights'>> {
  static override readonly summary = 'Show who may write under a path.';
  static override readonly description =
    'The deepest namespace around the path decides. Where there is none, every member may write, ' +
    'unless the parameter openWrites of the cluster is 0.';
  static override readonly examples = [
    { description: 'Of a path', command: '<%= config.bin %> kb rights projects/moon/plan.md' },
  ];
  static override readonly args = { path: kbPathArg };

  protected override async work(): Promise<Reply<'kb.rights'>> {
    const client = await this.client();
    return await client.call('kb.rights', { query: { path: this.args.path } });
  }

  protected override view(reply: Reply<'kb.rights'>): string {
    const { path, namespace, openWrites, mayWrite, mayGrant, height } = reply;
    const free = openWrites ? 'none: every member may write' : 'none: nobody may write';
    return facts([
      ['path', safeText(path)],
      ['namespace', namespace === null ? free : safeText(namespace.path)],
      ['owners', namespace === null ? undefined : whosText(namespace.owners)],
      ['writers', namespace === null ? undefined : whosText(namespace.writers)],
      ['this node', `${mayWrite ? 'may' : 'may not'} write${mayGrant ? ', may grant' : ''}`],
      ['height', String(height)],
    ]);
  }
}
