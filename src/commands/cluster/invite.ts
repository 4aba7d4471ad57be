/** `aegis cluster invite`: a custodian lets one node in. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { readDocument, requireAbsent, SECRET_MODE, writeNewDocument } from '../../cli/documents.ts';
import { facts, parseDuration } from '../../cli/format.ts';
import { safeText } from '../../cli/text.ts';
import type { ClusterInviteOutput } from '../../core/api/contract/outputs.ts';
import { AegisError } from '../../core/errors.ts';

/** @default of `--expires`: a day. */
const EXPIRES_MS = 24 * 60 * 60 * 1000;

interface Invited {
  readonly nodeId: string;
  /** As its bundle says; not known of a bare node id. */
  readonly name?: string;
}

export default class ClusterInvite extends BaseCommand<typeof ClusterInvite, ClusterInviteOutput> {
  static override readonly summary = 'Invite a node into the cluster.';
  static override readonly description =
    'The node of this home must be a custodian. The invitation lets in one node, once, until it ' +
    'expires; the node becomes an agent, which has no vote. The file holds the genesis and ' +
    'where members can be dialled, and where this node has an onion service also a key to it: ' +
    'give it to the operator of that node and to nobody else. They take it with `aegis cluster ' +
    'join`. With --out the file is readable by its owner only, and is not printed. Compare the ' +
    'fingerprint first: whoever is let in reads everything. An invitation ends when the ' +
    'identity key of its maker is rotated.';
  static override readonly examples = [
    {
      description: 'For the node of a bundle, within a day',
      command: '<%= config.bin %> cluster invite carol.bundle -o carol.invitation',
    },
    {
      description: 'Within an hour, over a pipe',
      command:
        'ssh carol aegis cluster bundle --role agent | ' +
        '<%= config.bin %> cluster invite - --expires 1h | ssh carol aegis cluster join -',
    },
  ];
  static override readonly args = {
    bundle: Args.string({
      required: true,
      description:
        'File with the bundle of the node (`cluster bundle --role agent`), or its node id; ' +
        '- is standard input.',
    }),
  };
  static override readonly flags = {
    expires: Flags.custom<number>({
      helpValue: '<time>',
      description: 'How long the invitation can be used: 30m, 24h. Default: 24h.',
      parse: (text) => Promise.resolve(parseDuration(text)),
    })(),
    out: Flags.string({
      char: 'o',
      helpValue: '<file>',
      description:
        'Where to write the invitation; - is standard output, also where it is no terminal.',
    }),
  };

  protected override async work(): Promise<ClusterInviteOutput> {
    const { expires: expiresInMs = EXPIRES_MS } = this.flags;
    const out = this.#out();
    const { nodeId, name } = await this.#invited();
    if (out !== '-') await requireAbsent(out);
    const client = await this.client();
    const reply = await client.call('cluster.invite', { body: { nodeId, expiresInMs } });
    if (out !== '-') await writeNewDocument(out, reply.invitation, SECRET_MODE);
    const { fingerprint } = await import('../../core/model/bundle.ts');
    const who = name === undefined ? nodeId : safeText(name);
    this.note(`Fingerprint of ${who}, to compare over another channel: ${fingerprint(nodeId)}`);
    // The file still tells a member that has lost the others where they are.
    if (reply.isMember) this.note(`${who} is a member already`);
    const command = reply.isMember ? 'rejoin' : 'join';
    this.note(`Next, on that node: aegis cluster ${command} ${out === '-' ? 'FILE' : out}`);
    // O16
    return out === '-' ? reply : { ...reply, invitation: null };
  }

  protected override view(reply: ClusterInviteOutput): string {
    if (reply.invitation !== null) return reply.invitation;
    return facts([
      ['invitation', reply.id],
      ['node id', reply.nodeId],
      ['inviter', reply.inviter],
      ['expires', reply.expiresAt],
      ['file', safeText(this.flags.out ?? '')],
    ]);
  }

  /** O16: a secret is shown to those who have asked for it. @throws {AegisError} `USAGE`. */
  #out(): string {
    const { out } = this.flags;
    if (out !== undefined || !process.stdout.isTTY) return out ?? '-';
    throw new AegisError('USAGE', 'an invitation is a secret, and this is a terminal', {
      hint: 'Write it to a file: -o FILE. Or have it shown: -o -',
    });
  }

  /** @throws {AegisError} `BAD_REQUEST` for a custodian's bundle, what `openBundle` throws. */
  async #invited(): Promise<Invited> {
    const { bundle: path } = this.args;
    const { isNodeId } = await import('../../core/model/identity.ts');
    if (isNodeId(path)) return { nodeId: path };
    const { BUNDLE_BYTES_MAX, bundleFromText, openBundle } = await import(
      '../../core/model/bundle.ts'
    );
    const text = Buffer.from(await readDocument(path, BUNDLE_BYTES_MAX * 2)).toString('latin1');
    const { nodeId, inception, bundle } = openBundle(bundleFromText(text));
    if (bundle.role === 'agent') return { nodeId, name: inception.name };
    throw new AegisError(
      'BAD_REQUEST',
      'the bundle is for a custodian, and who is invited has no vote',
      {
        hint: 'Make it again: aegis cluster bundle --role agent',
      },
    );
  }
}
