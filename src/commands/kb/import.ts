/** `aegis kb import`: stores what a URL gives, fetched by the route of the node. */
import { Args, Flags } from '@oclif/core';
import { parseBytes } from '../../cli/format.ts';
import { PutCommand, putFlags, writtenView } from '../../cli/kb/put-command.ts';
import type { KbImportOutput } from '../../core/api/contract/outputs.ts';
import { AegisError } from '../../core/errors.ts';
import { GIB } from '../../core/units.ts';

export default class KbImport extends PutCommand<typeof KbImport, KbImportOutput> {
  static override readonly summary = 'Store what a URL gives.';
  static override readonly description =
    'Fetches a file by http or https and stores it as kb put does. It goes the way that the node ' +
    'goes: with the route require through Tor to onion addresses, and to others only where exits ' +
    'are used (tor.exits); with prefer through Tor; with off directly. What Tor does not fetch ' +
    'is not fetched past it. Names are resolved by Tor, each import has circuits of its own, and ' +
    'nothing tells the server who asks. Nothing is stored when the answer is an error, is cut, ' +
    'or is larger than --max-size.';
  static override readonly examples = [
    {
      description: 'From an onion service',
      command:
        '<%= config.bin %> kb import ' +
        'http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/spec.txt',
    },
    {
      description: 'Under another path',
      command: '<%= config.bin %> kb import https://example.org/ --path pages/example.html',
    },
  ];
  static override readonly args = {
    url: Args.string({ required: true, description: 'An address with http: or https:.' }),
  };
  static override readonly flags = {
    ...putFlags,
    'max-size': Flags.custom<number>({
      helpValue: '<size>',
      description: 'Refuse what is larger: 64MiB, 2GiB or a number of bytes. Default: 1GiB.',
      default: GIB,
      defaultHelp: () => Promise.resolve('1GiB'),
      parse: (text) => Promise.resolve(parseBytes(text)),
    })(),
  };

  protected override async work(): Promise<KbImportOutput> {
    const { fetchSource, urlOf } = await import('../../cli/kb/fetch.ts');
    const url = urlOf(this.args.url);
    const client = await this.client();
    const tor = await client.call('tor.status');
    const options = { tor, maxBytes: this.flags['max-size'], signal: this.interruption() };
    const { via, ...source } = await fetchSource(url, options);
    const path = this.flags.path ?? source.name;
    if (path === undefined) {
      throw new AegisError('USAGE', 'the address ends with no name', {
        hint: 'Give one: --path P',
      });
    }
    const put = await this.put(source, path);
    return { ...put, schema: 'aegis.kb.import/1', url: url.href, via };
  }

  protected override view(result: KbImportOutput): string {
    return `${writtenView(result)}\nvia      ${result.via}`;
  }
}
