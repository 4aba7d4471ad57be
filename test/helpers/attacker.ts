/**
 * A process that attacks a port of this machine with raw sockets, so often and no longer than it
 * must. It prints one JSON line with what it did and what that cost it. Started by attack.ts.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { AttackPlan, AttackReport } from './attack.ts';

/** A message of multistream-select. */
const line = (text: string): Buffer =>
  Buffer.concat([Buffer.of(text.length + 1), Buffer.from(`${text}\n`)]);
const HEAD = Buffer.concat([line('/multistream/1.0.0'), line('/aegis/hello/2')]);
/** A first message of Noise: all that it takes to make the other side compute. */
const noise = (): Buffer => Buffer.concat([HEAD, Buffer.of(0, 32), randomBytes(32)]);

/** What each kind says, and how long it stays. */
const SAYS: Readonly<Record<AttackPlan['kind'], { first: () => Buffer; drip: boolean }>> = {
  connections: { first: noise, drip: false },
  slow: { first: () => HEAD.subarray(0, 5), drip: true },
  oversized: {
    first: () => Buffer.concat([HEAD, Buffer.of(0xff, 0xff), randomBytes(65_536)]),
    drip: false,
  },
};

const plan = JSON.parse(process.argv[2] ?? '{}') as AttackPlan;
const { kind, port, addresses, perSecond, ms } = plan;
const { first, drip } = SAYS[kind];
const open = new Set<Socket>();
const report: AttackReport = { made: 0, reset: 0, answered: 0, failed: 0, openMost: 0, cpuMs: 0 };
const OPEN_MAX = 2000;
const HOLD_MS = 1000;
const DRIP_MS = 250;
/** On a machine that has no time for it, the attack takes so many times as long. */
const LATE_MAX = 4;

function attack(address: string): void {
  report.made += 1;
  const socket = connect({ port, host: '127.0.0.1', localAddress: address });
  open.add(socket);
  report.openMost = Math.max(report.openMost, open.size);
  let isAnswered = false;
  socket.on('connect', () => socket.write(first()));
  socket.on('data', () => {
    if (!isAnswered) report.answered += 1;
    isAnswered = true;
  });
  socket.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'ECONNRESET' || code === 'EPIPE') report.reset += 1;
    else report.failed += 1;
  });
  socket.on('close', () => open.delete(socket));
  if (!drip) socket.setTimeout(HOLD_MS, () => socket.destroy());
}

const startedAt = performance.now();
const drips = setInterval(() => {
  if (drip) for (const socket of open) if (socket.writable) socket.write(Buffer.of(0x2f));
}, DRIP_MS);
const timer = setInterval(() => {
  const passedMs = performance.now() - startedAt;
  const wanted = (Math.min(passedMs, ms) / 1000) * perSecond;
  while (report.made < wanted && open.size < OPEN_MAX) {
    attack(addresses[report.made % addresses.length]!);
  }
  const isDone = passedMs >= ms && report.made >= (ms / 1000) * perSecond;
  if (!isDone && passedMs < ms * LATE_MAX) return;
  clearInterval(timer);
  clearInterval(drips);
  for (const socket of open) socket.destroy();
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ ...report, cpuMs: (user + system) / 1000 })}\n`);
}, 10);
