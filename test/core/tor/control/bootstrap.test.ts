import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/core/node/clock.ts';
import { Bootstrap } from '../../../../src/core/tor/control/bootstrap.ts';
import type { ControlEvent } from '../../../../src/core/tor/control/client.ts';
import type { LinkState, TorLink } from '../../../../src/core/tor/control/link.ts';
import { instant } from '../../../../src/core/units.ts';
import { fakeTor, linkTo } from './support.ts';

test('stuck bootstrap: how far, and why not further', async () => {
  const tor = await fakeTor({ fault: 'stuck' });
  const link = linkTo(tor);
  const bootstrap = new Bootstrap({ clock: systemClock() });
  const end = bootstrap.start(link);
  expect(bootstrap.status).toMatchObject({ percent: 0, tag: 'down', isReady: false });
  expect(bootstrap.notReady().code).toBe('TOR_UNREACHABLE');
  await link.start();
  expect(bootstrap.status).toMatchObject({
    ...{ percent: 14, tag: 'handshake', summary: 'Handshaking with a relay' },
    ...{ warning: 'Connection refused', reason: 'CONNECTREFUSED', isReady: false },
  });
  expect(bootstrap.notReady()).toMatchObject({
    code: 'TOR_NOT_READY',
    message: expect.stringContaining('14 %: Handshaking with a relay; Connection refused'),
  });
  tor.emit('STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"');
  tor.emit('STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED');
  await expect.poll(() => bootstrap.status.isReady).toBe(true);
  expect(bootstrap.status).toMatchObject({ percent: 100, leftMs: 0 });
  expect(bootstrap.status).not.toHaveProperty('warning');
  tor.emit('STATUS_CLIENT WARN CIRCUIT_NOT_ESTABLISHED REASON=CLOCK_JUMPED');
  await expect.poll(() => bootstrap.status.reason).toBe('CLOCK_JUMPED');
  tor.cut();
  await expect.poll(() => bootstrap.status.tag).toBe('down');
  await expect.poll(() => bootstrap.status.percent).toBe(14);
  end();
});

/** A link that says what the test wants, and a clock that goes when it wants. */
function scripted() {
  let now = 1000;
  const listeners = new Set<(event: ControlEvent) => void>();
  let onState: (state: LinkState) => void = () => {};
  let job: () => Promise<void> = () => Promise.resolve();
  const link = {
    on: (_: string, listener: (event: ControlEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onState: (listener: typeof onState) => {
      onState = listener;
      return () => {};
    },
    restore: (_: string, work: typeof job) => {
      job = work;
      return () => {};
    },
    command: () => Promise.resolve({ lines: [] }),
    getInfo: () =>
      Promise.resolve({
        'status/bootstrap-phase': 'NOTICE BOOTSTRAP PROGRESS=10 TAG=conn SUMMARY="Connecting"',
        'status/circuit-established': '0',
      }),
  } as unknown as TorLink;
  const bootstrap = new Bootstrap({ clock: { now: () => instant(now), wakeAt: () => () => {} } });
  bootstrap.start(link);
  return {
    bootstrap,
    connect: () => job(),
    lose: () => onState('down'),
    wait: (ms: number) => void (now += ms),
    tell: (text: string) => {
      for (const one of [...listeners].slice(0, 1)) one({ type: 'STATUS_CLIENT', text, lines: [] });
    },
  };
}

test('the time left is foretold from the pace, and not at all without one', async () => {
  const { bootstrap, connect, wait, tell, lose } = scripted();
  const phase = (percent: number) => `NOTICE BOOTSTRAP PROGRESS=${percent} TAG=x SUMMARY="x"`;
  await connect();
  expect(bootstrap.status.leftMs).toBeUndefined();
  wait(2000);
  tell(phase(30));
  // 20 percent in 2 seconds, 70 are left.
  expect(bootstrap.status.leftMs).toBe(7000);
  wait(1000);
  expect(bootstrap.status.leftMs).toBe(6000);
  wait(20_000);
  expect(bootstrap.status.leftMs).toBeUndefined();
  tell(phase(80));
  expect(bootstrap.status.leftMs).toBeGreaterThan(0);
  lose();
  expect(bootstrap.status).toMatchObject({ percent: 0, tag: 'down' });
});

test('a word of Tor is put into words, and a complaint says what to do', async () => {
  const { bootstrap, connect, tell } = scripted();
  await connect();
  expect(bootstrap.notReady().hint).toContain('aegis tor status');
  tell('WARN BOOTSTRAP PROGRESS=14 TAG=handshake SUMMARY="x" WARNING="DONE" REASON=DONE COUNT=2');
  const { status } = bootstrap;
  expect(status).toMatchObject({ warning: expect.stringContaining('closes'), reason: 'DONE' });
  expect(bootstrap.notReady().hint).toContain('tor.bridges');
  tell('WARN CLOCK_SKEW SKEW=7200 SOURCE=DIRSERV');
  expect(bootstrap.notReady().hint).toContain('clock');
});

test('what Tor says is shown as one line of plain text', async () => {
  const { bootstrap, connect, tell } = scripted();
  await connect();
  const summary = `\\033[31m\\n${'x'.repeat(1000)}`;
  tell(`WARN BOOTSTRAP PROGRESS=1e9 TAG=x\u001b SUMMARY="${summary}" WARNING="a\\nb"`);
  const { status } = bootstrap;
  expect(status.percent).toBe(100);
  expect(status.summary).toMatch(/^\[31m x+\.\.\.$/);
  expect(status.summary.length).toBe(200);
  expect(status.warning).toBe('a b');
  tell('WARN CLOCK_SKEW SKEW=-7200 SOURCE=DIRSERV');
  expect(bootstrap.status).toMatchObject({
    reason: 'CLOCK_SKEW',
    warning: 'the clock of this machine is 7200 s behind',
  });
  tell('WARN CLOCK_SKEW SKEW=much');
  expect(bootstrap.status.reason).toBe('CLOCK_SKEW');
});
