/** `aegis api`: one request to the API of the running node, as it is. */
import { createReadStream } from 'node:fs';
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import { AegisError } from '../core/errors.ts';

export default class ApiCommand extends BaseCommand<typeof ApiCommand, undefined> {
  static override readonly summary = 'Send one request to the API of the running node.';
  static override readonly description =
    'Prints the body of the reply as it comes. Errors of the API are errors of this command, ' +
    'with their exit status. docs/openapi.json describes all endpoints.';
  static override readonly examples = [
    { description: 'The state of the node', command: '<%= config.bin %> api GET /v1/node' },
    {
      description: 'Add a peer',
      command:
        'echo \'{"address":"/ip4/10.0.0.7/tcp/4001"}\' | ' +
        '<%= config.bin %> api POST /v1/peers --body -',
    },
    { description: 'Watch every change', command: '<%= config.bin %> api GET /v1/events' },
  ];
  static override readonly args = {
    method: Args.string({ required: true, description: 'GET, POST, PUT or DELETE.' }),
    path: Args.string({ required: true, description: 'Path with its query, percent-encoded.' }),
  };
  static override readonly flags = {
    body: Flags.string({
      char: 'b',
      helpValue: '<file>|-',
      description: 'Send this file, or standard input.',
    }),
    'content-type': Flags.string({
      default: 'application/json',
      helpValue: '<type>',
      description: 'Media type of the body.',
    }),
  };

  protected override async work(): Promise<undefined> {
    const { method, path } = this.args;
    const { body } = this.flags;
    const { writeStdout } = await import('../cli/kb/stdout.ts');
    const signal = this.interruption();
    const client = await this.client();
    try {
      const reply = await client.send(
        {
          method: method.toUpperCase(),
          target: path,
          ...(body !== undefined && {
            body: bodyOf(body),
            contentType: this.flags['content-type'],
          }),
        },
        { signal },
      );
      try {
        await writeStdout(reply.bytes, { guard: process.stdout.isTTY, signal });
      } finally {
        reply.cancel();
      }
    } finally {
      if (body === '-') process.stdin.destroy();
    }
    return undefined;
  }

  /** The reply has been written already. */
  protected override view(): undefined {
    return undefined;
  }
}

async function* bodyOf(name: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* name === '-' ? process.stdin : (createReadStream(name) as AsyncIterable<Uint8Array>);
  } catch (error) {
    throw new AegisError('UNREADABLE', `cannot read ${name}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
