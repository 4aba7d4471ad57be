/** `aegis monitor` without a terminal: what scripts get. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TinyDaemon } from './daemon.ts';
import { nodeStatus } from './fixtures.ts';

const BIN = fileURLToPath(new URL('../../bin/dev.js', import.meta.url));

function start(home: string, ...flags: string[]) {
  const child = spawn(process.execPath, [BIN, 'monitor', '--home', home, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

async function run(home: string, ...flags: string[]) {
  const child = start(home, ...flags);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.on('data', (text: string) => {
    stderr += text;
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

describe('monitor without a terminal', () => {
  const daemon = new TinyDaemon();
  beforeAll(() => daemon.start());
  afterAll(() => daemon.remove());

  test('prints one plain frame and ends', async () => {
    for (const flags of [[], ['--once']]) {
      const { status, stdout, stderr } = await run(daemon.home, ...flags);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toMatch(/^aegis {2}alice {2}archive {2}ready/);
      expect(stdout).toContain('bob');
      expect(stdout).not.toContain('\u001b');
    }
  });

  test('--json --once prints the snapshot', async () => {
    const { status, stdout } = await run(daemon.home, '--json', '--once');
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBe(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      type: 'snapshot',
      schema: 'aegis.events/1',
      node: { name: 'alice' },
    });
  });

  test('--json follows with a line for each change, until the reader has enough', async () => {
    const child = start(daemon.home, '--json');
    let text = '';
    let told = false;
    for await (const chunk of child.stdout) {
      text += String(chunk);
      if (!told) daemon.tell({ type: 'node', node: nodeStatus({ pid: 7 }) });
      told = true;
      if (text.includes('"pid":7')) break;
    }
    const [first, second] = text.split('\n');
    expect(JSON.parse(first ?? '').type).toBe('snapshot');
    expect(JSON.parse(second ?? '')).toMatchObject({ type: 'node', node: { pid: 7 } });
    child.kill('SIGINT');
    const [status] = (await once(child, 'exit')) as [number | null];
    expect(status).toBe(130);
  });
});

describe('monitor that cannot', () => {
  test('says that no daemon runs, with 69', async () => {
    const { status, stderr } = await run('/nonexistent/home');
    expect(status).toBe(69);
    expect(stderr).toContain('no daemon runs');
  });

  test('refuses an interval out of range, with 2', async () => {
    for (const interval of ['1ms', '2m', 'soon']) {
      const { status } = await run('/nonexistent/home', '--interval', interval);
      expect(status).toBe(2);
    }
  });
});
