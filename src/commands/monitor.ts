import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import { wantsColour } from '../cli/colour.ts';
import { parseDuration } from '../cli/format.ts';
import { AegisError } from '../core/errors.ts';

const INTERVAL_MS_MIN = 100;
const INTERVAL_MS_MAX = 60_000;
/** The plain frame is as wide as this where there is no terminal to ask. */
const COLUMNS = 80;

async function interval(text: string): Promise<number> {
  const ms = parseDuration(text);
  if (ms >= INTERVAL_MS_MIN && ms <= INTERVAL_MS_MAX) return ms;
  throw new AegisError('USAGE', `the interval ${text} is not between 100ms and 60s`);
}

export default class Monitor extends BaseCommand<typeof Monitor> {
  static override readonly summary =
    'Watch the node live: overview, peers, knowledge base, consensus, Tor.';
  static override readonly description =
    `Opens a full-screen monitor on a terminal. Press ? there for all keys, q to quit.

When standard output is no terminal, or with --once, prints one plain frame instead.

With --json, prints the event stream: a snapshot of everything, then one line for each change.`;
  static override readonly examples = [
    {
      description: 'Watch the node of this home; q quits.',
      command: '<%= config.bin %> <%= command.id %>',
    },
    {
      description: 'One frame, for a log or a mail.',
      command: '<%= config.bin %> <%= command.id %> --once',
    },
    {
      description: 'Every change as a line of JSON.',
      command: '<%= config.bin %> <%= command.id %> --json',
    },
  ];
  static override readonly flags = {
    interval: Flags.custom<number>({
      description: 'Redraw this often, from 100ms to 60s.',
      default: 500,
      defaultHelp: async () => '500ms',
      helpValue: '<time>',
      parse: interval,
    })(),
    once: Flags.boolean({ description: 'Print one plain frame and end.' }),
    ascii: Flags.boolean({
      description: 'Draw with ASCII characters only.',
      env: 'AEGIS_ASCII',
    }),
    readonly: Flags.boolean({ description: 'Refuse every key that would change the node.' }),
  };

  protected async work(): Promise<undefined> {
    const { once } = this.flags;
    const dumb = process.env['TERM'] === 'dumb';
    if (this.json) await this.#stream(once);
    else if (once || dumb || !process.stdout.isTTY || !process.stdin.isTTY) await this.#print();
    else await this.#show();
  }

  protected view(): undefined {
    return undefined;
  }

  get #ascii(): boolean {
    const { TERM } = process.env;
    return this.flags.ascii || TERM === 'dumb' || TERM === 'linux';
  }

  /** The event stream as it comes; with `--once` only the snapshot. */
  async #stream(once: boolean): Promise<void> {
    const client = await this.client();
    const signal = this.interruption();
    for await (const event of client.events({ signal })) {
      await this.emit(event);
      if (once) break;
    }
    signal.throwIfAborted();
  }

  async #print(): Promise<void> {
    const client = await this.client();
    const { once } = await import('../tui/once.ts');
    const text = await once(client, {
      nowMs: Date.now(),
      columns: process.stdout.columns || Number(process.env['COLUMNS']) || COLUMNS,
      ascii: this.#ascii,
      readonly: this.flags.readonly,
      signal: this.interruption(),
    });
    process.stdout.write(`${text}\n`);
  }

  async #show(): Promise<void> {
    // Without a daemon the answer is an error, not an empty screen.
    const client = await this.client();
    await client.call('node.status');
    // React looks at the first when it loads: its development build costs a third more. The second
    // makes Ink look for a debugger.
    process.env['NODE_ENV'] = 'production';
    delete process.env['DEV'];
    const { monitor } = await import('../tui/app.tsx');
    const signal = this.interruption();
    await monitor({
      open: () => this.client(),
      intervalMs: this.flags.interval,
      ascii: this.#ascii,
      color: !this.flags['no-color'] && wantsColour(process.stdout, process.env),
      readonly: this.flags.readonly,
      signal,
    });
    // Keys end it with 0, signals with theirs.
    signal.throwIfAborted();
  }
}
