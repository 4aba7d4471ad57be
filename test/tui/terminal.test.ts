/** The monitor on a real terminal, against the real API server. */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { needs } from '../helpers/needs.ts';
import { TinyDaemon } from './daemon.ts';
import { nodeStatus } from './fixtures.ts';
import { Terminal } from './tmux.ts';

const BIN = fileURLToPath(new URL('../../bin/dev.js', import.meta.url));
const WIDE = { columns: 100, rows: 30 };

describe.skipIf(!needs('tmux', 'the monitor on a real terminal'))('on a real terminal', () => {
  let daemon: TinyDaemon;
  let terminal: Terminal;

  beforeEach(async () => {
    daemon = new TinyDaemon();
    terminal = new Terminal();
    await daemon.start();
  });

  afterEach(async () => {
    await terminal.close();
    await daemon.remove();
  });

  const open = async (...flags: string[]): Promise<void> => {
    const command = [process.execPath, BIN, 'monitor', '--home', daemon.home, ...flags];
    await terminal.open([...command, '--interval', '100ms'], WIDE);
    await terminal.shows('alice');
  };

  /** As it was before: the marks of the shell, the cursor, no alternate screen. */
  const expectRestored = async (status: number): Promise<void> => {
    await terminal.shows(`before\nafter, status ${status}`);
    expect(await terminal.ask('#{alternate_on} #{cursor_flag}')).toBe('0 1');
  };

  test('opens, turns pages, filters, helps, and leaves the screen as it was', async () => {
    await open();
    expect(await terminal.ask('#{alternate_on} #{cursor_flag}')).toBe('1 0');
    await terminal.shows('archive  ready');
    await terminal.press('2');
    await terminal.shows(/bob +connected/);
    await terminal.press('/', 'c', 'a', 'r', 'Enter');
    await terminal.hides(/bob +connected/);
    await terminal.shows('filter "car"');
    await terminal.press('?');
    await terminal.shows(/KEYS {2}\(peers\)/);
    await terminal.press('x');
    await terminal.shows('carol');
    await terminal.press('q');
    await expectRestored(0);
  });

  test('follows the size of the window, down to a few rows and up again', async () => {
    await open();
    await terminal.press('2');
    await terminal.shows('ZONE');
    await terminal.resize(44, 10);
    await terminal.hides('ZONE');
    await terminal.shows(/peers +\d+ s old\n.*NAME.*\nbob/);
    await terminal.resize(120, 40);
    await terminal.shows('ADDRESS');
    const rows = (await terminal.screen()).split('\n');
    expect(rows[0]).toMatch(/^aegis {2}alice/);
    expect(rows[39]).toMatch(/help.*quit/);
    await terminal.press('C-c');
    await expectRestored(0);
  });

  test('is live, says when the daemon has gone, and finds it again', async () => {
    await open();
    daemon.tell({ type: 'node', node: nodeStatus({ name: 'alice-renamed' }) });
    await terminal.shows('alice-renamed');
    await daemon.stop();
    await terminal.shows('daemon not answering, retrying');
    await daemon.start();
    await terminal.hides('not answering');
    expect(daemon.watchers).toBe(1);
    await terminal.press('q');
    await expectRestored(0);
    expect(daemon.watchers).toBe(0);
  });

  test('without colours there are none, in ASCII every bar is ASCII', async () => {
    await open('--no-color', '--ascii');
    const screen = await terminal.screen({ colours: true });
    expect(screen).not.toMatch(/\u001b\[(?:\d+;)*3[1-7]/);
    // oxlint-disable-next-line no-control-regex -- the sequences for bold and faint are ASCII too
    expect(screen).toMatch(/^[\u0000-\u007f]*$/);
    await terminal.press('q');
    await expectRestored(0);
  });
});
