import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { afterAll, describe, expect, test } from 'vitest';
import { BaseCommand, confirmFlags, passphraseFlags } from '../../src/cli/base.ts';
import { AegisError } from '../../src/core/errors.ts';
import { run } from './command.ts';

const dir = mkdtempSync(join(tmpdir(), 'aegis-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));

interface ProbeResult {
  readonly schema: 'aegis.probe/1';
  readonly seen: Readonly<Record<string, unknown>>;
}

/** Shows what the base gives to a command. */
class Probe extends BaseCommand<typeof Probe, ProbeResult> {
  static override readonly args = { what: Args.string() };
  static override readonly flags = {
    ...passphraseFlags,
    ...confirmFlags,
    count: Flags.integer({ default: 1 }),
  };

  protected override async work(): Promise<ProbeResult> {
    const { what } = this.args;
    this.note('a note');
    this.detail('a detail');
    if (what === 'fail') throw new AegisError('NOT_FOUND', 'nothing there');
    if (what === 'bug') throw new TypeError('x is undefined');
    if (what === 'confirm') await this.confirm('Delete all?');
    if (what === 'client') await this.client();
    const passphrase = what === 'passphrase' ? await this.passphrase('the probe') : undefined;
    if (what === 'stream') {
      await this.emit({ type: 'one' }, 'first');
      await this.emit({ type: 'two' });
    }
    const seen = {
      home: this.home().label,
      timeoutMs: this.timeoutMs(),
      count: this.flags.count,
      passphrase,
    };
    return { schema: 'aegis.probe/1', seen };
  }

  protected override view({ seen }: ProbeResult): string | undefined {
    return this.args.what === 'silent' ? undefined : `count ${String(seen['count'])}`;
  }
}

const home = ['--home', dir];

test('the view goes to standard output, notes go to standard error', async () => {
  const { stdout, stderr, error } = await run(Probe, [...home, '--count', '2']);
  expect(error).toBeUndefined();
  expect(stdout).toBe('count 2\n');
  expect(stderr).toBe('a note\n');
});

test('--json prints the object that work returned, on one line', async () => {
  const { stdout } = await run(Probe, [...home, '--json', '--timeout', '2m']);
  expect(stdout).toMatch(/^\{.*\}\n$/);
  expect(JSON.parse(stdout)).toEqual({
    schema: 'aegis.probe/1',
    seen: { home: dir, timeoutMs: 120_000, count: 1 },
  });
});

test('--quiet silences notes, --verbose adds details, a view may say nothing', async () => {
  expect((await run(Probe, [...home, '-q'])).stderr).toBe('');
  expect((await run(Probe, [...home, '-v'])).stderr).toBe('a note\na detail\n');
  expect((await run(Probe, [...home, 'silent'])).stdout).toBe('');
});

test('a stream is one JSON object a line, or its text', async () => {
  const asJson = await run(Probe, [...home, 'stream', '--json']);
  expect(asJson.stdout.split('\n').slice(0, 2)).toEqual(['{"type":"one"}', '{"type":"two"}']);
  const asText = await run(Probe, [...home, 'stream']);
  expect(asText.stdout).toBe('first\ncount 1\n');
});

test('errors are thrown through, as they are', async () => {
  const failed = await run(Probe, [...home, 'fail', '--json']);
  expect(failed.error).toMatchObject({ code: 'NOT_FOUND' });
  expect(failed.stdout).toBe('');
  expect((await run(Probe, [...home, 'bug'])).error).toBeInstanceOf(TypeError);
  const usage = await run(Probe, [...home, '--timeout', 'soon']);
  expect(usage.error).toMatchObject({ code: 'USAGE', exit: 2 });
});

describe('questions', () => {
  test('without a terminal, a destructive command needs --yes', async () => {
    const refused = await run(Probe, [...home, 'confirm']);
    expect(refused.error).toMatchObject({ code: 'CONFIRMATION_REQUIRED', exit: 2 });
    expect((await run(Probe, [...home, 'confirm', '--yes'])).error).toBeUndefined();
  });

  test('without a terminal, a missing passphrase names the flags', async () => {
    const { error } = await run(Probe, [...home, 'passphrase']);
    expect(error).toMatchObject({ code: 'PASSPHRASE_REQUIRED', exit: 2 });
  });

  test('a passphrase comes from a file, without its line end', async () => {
    const file = join(dir, 'passphrase');
    writeFileSync(file, 'correct horse \n', { mode: 0o600 });
    const { result, error } = await run(Probe, [...home, 'passphrase', '--passphrase-file', file]);
    expect(error).toBeUndefined();
    expect(result).toMatchObject({ seen: { passphrase: 'correct horse ' } });
  });
});

test('without a daemon, a client says how to start one', async () => {
  const { error } = await run(Probe, [...home, 'client']);
  expect(error).toMatchObject({
    code: 'DAEMON_UNREACHABLE',
    exit: 69,
    hint: 'Start one: aegis node start',
  });
});
