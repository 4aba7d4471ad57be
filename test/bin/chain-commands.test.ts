/** What the commands of consensus and intents do beyond one reply: statuses, files, streams. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Harness, harness } from '../core/api/harness.ts';
import { CAROL, DAVE, MemoryChain } from '../core/api/memory-chain.ts';
import { aegis, type Outcome, type RunOptions } from '../helpers/aegis.ts';

let h: Harness;
const run = (args: string[], options?: RunOptions): Promise<Outcome> =>
  aegis([...args, '--home', h.directory], options);
const submit = (...args: string[]): Promise<Outcome> => run(['intent', 'submit', ...args]);

beforeAll(async () => {
  h = await harness({ home: true });
});
afterAll(() => h[Symbol.asyncDispose]());
beforeEach(() => {
  h.backend.chain = new MemoryChain();
});

it('tells by the exit status what became of an intent', async () => {
  expect(await submit('a', 'v1')).toMatchObject({ exit: 0, stderr: '' });
  const swapped = await submit('a', 'v2', '--if-version', 'v0');
  expect(swapped).toMatchObject({
    exit: 73,
    stderr: expect.stringContaining('aegis: error: the intent was refused: conflict\n'),
  });
  h.backend.chain.hasQuorum = false;
  const queued = await submit('b', 'v1', '--timeout', '1s');
  expect(queued.exit).toBe(75);
  expect(queued.stderr).toContain('aegis: error: the intent is queued and not final yet\n');
  expect(queued.stderr).toContain('Repeating the command is harmless');
  expect(queued.stdout).toMatch(/status +pending\n$/);
  const again = await submit('b', 'v1', '--json');
  expect([again.exit, again.stderr]).toEqual([75, '']);
  const [first] = (JSON.parse(again.stdout) as { intents: { id: string }[] }).intents;
  expect(queued.stdout).toContain(first?.id);
  expect(await submit('b', 'v1', '--wait', 'accepted')).toMatchObject({ exit: 0, stderr: '' });
});

it('cancels what is pending, and says when it is too late', async () => {
  const ids = async (): Promise<string[]> => {
    const { intents } = await h.client.call('intents.list');
    return intents.map(({ id }) => id);
  };
  await submit('a', 'v1');
  const [final = ''] = await ids();
  expect(await run(['intent', 'cancel', final])).toMatchObject({ exit: 1 });
  h.backend.chain.hasQuorum = false;
  await submit('b', 'v1', '--wait', 'accepted');
  const [pending = ''] = await ids();
  expect(await run(['intent', 'cancel', pending])).toMatchObject({ exit: 75 });
  h.backend.chain.hasQuorum = true;
  const cancelled = await run(['intent', 'cancel', pending.slice(0, 8)]);
  expect(cancelled).toMatchObject({ exit: 0, stderr: '' });
  expect(cancelled.stdout).toMatch(/outcome {2}cancelled, height 2\n$/);
  expect(await run(['intent', 'cancel', pending])).toMatchObject({ exit: 66 });
});

it('submits a file of intents in batches, and standard input without a last line end', async () => {
  const lines = Array.from({ length: 600 }, (_, at) =>
    JSON.stringify({ path: `p${at}`, version: 'v' }),
  );
  const file = join(h.directory, 'changes.ndjson');
  writeFileSync(file, `${lines.join('\n')}\n\n`);
  const many = await submit('--file', file);
  expect(many).toMatchObject({ exit: 0, stderr: '' });
  expect(many.stdout).toMatch(/^intents +600\ndone +600\nunchanged +0\nrefused +0\npending +0\n$/);
  const input = `${lines[0]}\n{"changes":[{"path":"x","version":"v"},{"path":"y","version":"v"}]}`;
  const piped = await run(['intent', 'submit', '--file', '-', '--json'], { input });
  expect(JSON.parse(piped.stdout)).toMatchObject({ intents: [{ height: 1 }, { height: 601 }] });
});

it.each([
  ['{"path":"a","version":"v"}\nnonsense\n', 65, 'intent 2 is not JSON'],
  ['[]\n', 65, 'neither an intent nor a change'],
  ['{"changes":[{"path":""}]}\n', 2, 'path'],
  [`{"path":"${'x'.repeat(300_000)}"}`, 65, 'longer than'],
])('names what is wrong with a line: %#', async (input, exit, named) => {
  const outcome = await run(['intent', 'submit', '--file', '-'], { input });
  expect(outcome).toMatchObject({ exit, stdout: '' });
  expect(outcome.stderr).toContain(named);
  expect(h.backend.chain.intents.size).toBe(0);
});

it('names who is missing when there is no quorum', async () => {
  h.backend.chain.status = {
    connected: 2,
    phase: 'propose',
    isVoting: false,
    doubt: 'its home was copied',
    missing: [CAROL, DAVE].map((who) => ({ ...who, connected: false, lastHeardAt: null })),
    passedOver: [DAVE],
    evidence: 1,
  };
  const { stdout } = await run(['consensus', 'status', '--why']);
  expect(stdout).toContain('2 of 4 in reach, 3 decide, 1 may fail');
  expect(stdout).toMatch(/^voting +no, in doubt: its home was copied$/m);
  expect(stdout).toMatch(/^out of reach +carol \(never heard\), dave \(never heard\)$/m);
  expect(stdout).toContain('no quorum: 2 of 4 custodians are in reach and it takes 3');
});

it('watches blocks and views until it has seen enough', async () => {
  const { chain } = h.backend;
  const args = ['consensus', 'watch', '-n', '2', '--home', h.directory];
  const watching = [aegis(args), aegis([...args, '--json'])];
  await expect.poll(() => h.backend.listeners.size).toBe(2);
  await h.client.call('intents.submit', {
    body: { intents: ['a', 'b'].map((path) => ({ changes: [{ path, version: 'v' }] })) },
  });
  const [first, second] = chain.summaries();
  h.backend.tell({ type: 'block', block: first! });
  h.backend.tell({ type: 'consensus', consensus: { ...chain.consensus(), view: 2 } });
  h.backend.tell({ type: 'block', block: second! });
  const [text, json] = await Promise.all(watching);
  expect(text?.exit).toBe(0);
  expect(text?.stdout.split('\n')).toEqual([
    expect.stringMatching(/^final 1 {2}[0-9a-f]{12} {2}bob {2}1 intent, 3 signers$/),
    'view  3  a view failed: now view 2, led by bob',
    expect.stringMatching(/^final 2 /),
    '',
  ]);
  const types = (json?.stdout ?? '')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).type);
  expect(types).toEqual(['consensus', 'block', 'consensus', 'block']);
});
