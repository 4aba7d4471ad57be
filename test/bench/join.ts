/**
 * What joining a chain of 10,000 blocks takes, by blocks and by a snapshot, and what it does to
 * those who serve it: steady open-loop load on four custodians, in turns without anything, with a
 * node that joins, and with a process that takes as much processor as that node and asks nobody for
 * anything. All of them share one machine, so that most of what others feel is the joiner's own
 * work. What is left of it when the joiner has the processor only that others leave is serving.
 */
import { versionCidOf } from '../../src/core/model/version.ts';
import { burn } from '../helpers/attack.ts';
import { type BenchNode, withDirectory } from './cluster.ts';
import { type Figure, summaryOf } from './figures.ts';
import { type JoinNet, withJoinNet } from './join-net.ts';
import { cpuMsOf, pause, yieldProcessor } from './processes.ts';

const BLOCKS = Number(process.env['AEGIS_JOIN_BLOCKS'] ?? 10_000);
const ROUNDS = Number(process.env['AEGIS_JOIN_ROUNDS'] ?? 4);
/** Joins with nothing else to do, of each kind. */
const ALONE = Number(process.env['AEGIS_JOIN_ALONE'] ?? 3);
const TURN_MS = 8000;
/** One intent every so often, at the custodians in turn. */
const EVERY_MS = 25;
const CALM_MS = 1500;
const LOOK_MS = 10;
const JOIN_MS = 120_000;

/** The last joins by blocks, and takes no processor from those who serve it. */
const KINDS = ['never', 'auto', 'yielding'] as const;
type Kind = (typeof KINDS)[number];

interface Join {
  readonly blocks: number;
  /** From the first request until it has all that the others have. */
  readonly ms: number;
  readonly cpuMs: number;
  /** Of all who serve it. */
  readonly servedCpuMs: number;
}

interface Turn {
  readonly latenciesMs: readonly number[];
  /** Of those that were due in the turn, so many were final in it. */
  readonly perSecond: number;
}

export async function join(): Promise<Figure[]> {
  return await withDirectory((dir) => withJoinNet(dir, BLOCKS, measure));
}

async function measure(net: JoinNet): Promise<Figure[]> {
  console.log(
    `${BLOCKS} blocks, ${(net.historyBytes / 2 ** 20).toFixed(1)} MiB, ` +
      `made in ${(net.makingMs / 1000).toFixed(0)} s`,
  );
  const byBlocks: Join[] = [];
  const bySnapshot: Join[] = [];
  for (let n = 0; n < ALONE; n += 1) {
    byBlocks.push(await joinAlone(net, 'never'));
    bySnapshot.push(await joinAlone(net, 'auto'));
  }
  const rounds: Record<Kind, Ratios[]> = { never: [], auto: [], yielding: [] };
  // What comes first pays for all that is compiled late.
  await turn(net.custodians, () => pause(TURN_MS));
  for (let n = 0; n < ROUNDS; n += 1) {
    for (const kind of KINDS) rounds[kind].push(await round(net, kind));
  }
  return [
    ...figuresOf('by blocks', byBlocks),
    ...figuresOf('by a snapshot', bySnapshot),
    ...ratiosOf('by blocks', rounds.never),
    ...ratiosOf('by a snapshot', rounds.auto),
    ...ratiosOf('by blocks, with what processor is left', rounds.yielding),
  ];
}

async function joinAlone(net: JoinNet, kind: 'auto' | 'never'): Promise<Join> {
  const node = await net.newcomer(kind);
  await pause(CALM_MS);
  const joined = await joining(net, node);
  await net.dismiss();
  console.log(textOf(kind, joined));
  return joined;
}

/** Lets a node in, and looks at it until it has come as far as the others were. */
async function joining(net: JoinNet, node: BenchNode): Promise<Join> {
  const { height: target } = await net.custodians[0]!.client.call('consensus.status');
  const usage = (): number => net.custodians.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
  const before = { served: usage(), own: cpuMsOf(node.pid) };
  const end = performance.now() + JOIN_MS;
  await net.letIn();
  let begun: number | undefined;
  for (;;) {
    const asked = performance.now();
    const { height, behind } = await node.client.call('consensus.status');
    // The first request leaves when it hears that others are ahead.
    if (height > 0 || behind > 0) begun ??= asked;
    if (height >= target) break;
    if (performance.now() > end) throw new Error(`it is at height ${height} after 2 minutes`);
    await pause(LOOK_MS);
  }
  return {
    blocks: target,
    ms: performance.now() - begun!,
    cpuMs: cpuMsOf(node.pid) - before.own,
    servedCpuMs: usage() - before.served,
  };
}

const textOf = (kind: string, { blocks, ms, cpuMs, servedCpuMs }: Join): string =>
  `  joined (${kind}): ${blocks} blocks in ${ms.toFixed(0)} ms, ` +
  `${((blocks / ms) * 1000).toFixed(0)} blocks/s; processor ${cpuMs.toFixed(0)} ms, ` +
  `of those who serve ${servedCpuMs.toFixed(0)} ms`;

function figuresOf(how: string, joins: readonly Join[]): Figure[] {
  const info = (name: string, unit: string, of: (join: Join) => number): Figure => ({
    ...{ name: `  ${name}`, unit },
    samples: joins.map(of),
  });
  const perSecond = ({ blocks, ms }: Join): number => (blocks * 1000) / ms;
  const goal =
    how === 'by blocks'
      ? { ...info('', 'blocks/s', perSecond), goal: { least: 2000 } }
      : { ...info('', 's', ({ ms }) => ms / 1000), goal: { most: 3 } };
  return [
    { ...goal, name: `joining ${BLOCKS.toLocaleString('en-GB')} blocks ${how}` },
    info('processor of the joiner', 'ms', ({ cpuMs }) => cpuMs),
    info('processor of those who serve', 'ms', ({ servedCpuMs }) => servedCpuMs),
  ];
}

interface Ratios {
  /** With a node that joins, to without. */
  readonly latency: number;
  readonly intents: number;
  /** With as much work for nobody, to without. */
  readonly burntLatency: number;
  readonly burntIntents: number;
  /** The joiner's, of a core, over the turn. */
  readonly percent: number;
  readonly samples: number;
  readonly quietMs: number;
}

/** Quiet, somebody joins, and as much work for nobody, one after the other. */
async function round(net: JoinNet, kind: Kind): Promise<Ratios> {
  const { custodians } = net;
  const node = await net.newcomer(kind === 'auto' ? 'auto' : 'never');
  if (kind === 'yielding') await yieldProcessor(node.pid);
  const quiet = await turn(custodians, () => pause(TURN_MS));
  let joined: Join | undefined;
  const before = cpuMsOf(node.pid);
  let [cpuMs, tookMs] = [0, 0];
  const busy = await turn(custodians, async () => {
    const begun = performance.now();
    joined = await joining(net, node);
    await pause(Math.max(0, TURN_MS - (performance.now() - begun)));
    cpuMs = cpuMsOf(node.pid) - before;
    tookMs = performance.now() - begun;
  });
  await net.dismiss();
  // One process burns one core at most; several of them burn what several threads do.
  const share = cpuMs / tookMs;
  const burnt = await turn(custodians, async () => {
    const burners = Array.from({ length: Math.ceil(share) }, (_, at) =>
      burn({ share: Math.min(1, share - at), ms: Math.min(tookMs, 2 * TURN_MS) }),
    );
    await Promise.all(burners);
  });
  console.log(textOf(kind, joined!));
  const ratios = {
    latency: p95(busy) / p95(quiet),
    intents: busy.perSecond / quiet.perSecond,
    burntLatency: p95(burnt) / p95(quiet),
    burntIntents: burnt.perSecond / quiet.perSecond,
    percent: share * 100,
    samples: busy.latenciesMs.length,
    quietMs: p95(quiet),
  };
  console.log(`  ${JSON.stringify(ratios)}`);
  return ratios;
}

function ratiosOf(how: string, rounds: readonly Ratios[]): Figure[] {
  const of = (name: string, unit: string, value: (ratios: Ratios) => number): Figure => ({
    ...{ name, unit },
    samples: rounds.map(value),
  });
  const intents = rounds.reduce((sum, { samples }) => sum + samples, 0);
  const name = `while one joins ${how}`;
  return [
    {
      ...of(`finality p95 of the others ${name} (${intents} intents)`, 'x', (r) => r.latency),
      goal: { most: 1.25 },
    },
    of('  the same work of an idle process instead', 'x', (r) => r.burntLatency),
    {
      ...of(`intents/s of the others ${name}`, 'x', (r) => r.intents),
      goal: { least: 1 / 1.25 },
    },
    of('  the same work of an idle process instead', 'x', (r) => r.burntIntents),
    of('  processor of the joiner', '% core', (r) => r.percent),
    of('  finality p95 before', 'ms', (r) => r.quietMs),
  ];
}

const p95 = ({ latenciesMs }: Turn): number => summaryOf(latenciesMs).p95;

let made = 0;

/** Single intents at these nodes in turn, at their times, for as long as `meanwhile` takes. */
async function turn(nodes: readonly BenchNode[], meanwhile: () => Promise<void>): Promise<Turn> {
  await pause(CALM_MS);
  const latenciesMs: number[] = [];
  const under = new Set<Promise<void>>();
  const state = { isOver: false };
  const begun = performance.now();
  const work = meanwhile().finally(() => {
    state.isOver = true;
  });
  for (let i = 0; !state.isOver; i += 1) {
    const sent = submit(nodes[i % nodes.length]!).then((ms) => void latenciesMs.push(ms));
    under.add(sent);
    void sent.finally(() => under.delete(sent)).catch(() => undefined);
    // By the clock: who comes late brings what should have come before.
    await pause(Math.max(0, begun + (i + 1) * EVERY_MS - performance.now()));
  }
  const inTime = latenciesMs.length;
  const perSecond = (inTime * 1000) / (performance.now() - begun);
  await Promise.all([work, ...under]);
  return { latenciesMs, perSecond };
}

async function submit({ client }: BenchNode): Promise<number> {
  made += 1;
  const change = {
    path: `join/${made}`,
    version: versionCidOf(Buffer.from(`${made}`)).toString(),
  };
  const sentAt = performance.now();
  const body = { intents: [{ changes: [change] }], wait: 'final' as const, timeoutMs: 30_000 };
  const { intents } = await client.call('intents.submit', { body });
  if (intents[0]?.result !== 'done') throw new Error(`not done: ${JSON.stringify(intents[0])}`);
  return performance.now() - sentAt;
}
