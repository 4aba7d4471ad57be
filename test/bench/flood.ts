/**
 * What floods do to the finality of those who are not their target, and to the target itself:
 * single intents on a cluster of four, in turns with and without an attack on one node, within one
 * run. The attacker is a process on the same machine and takes processor from everybody; what that
 * alone does is measured with a process that burns as much and attacks nobody.
 */
import { versionCidOf } from '../../src/core/model/version.ts';
import { attack, burn, FIFTY, goRogue } from '../helpers/attack.ts';
import { type BenchCluster, type BenchNode, withCluster } from './cluster.ts';
import { type Figure, summaryOf } from './figures.ts';
import { pause, residentMib, until } from './processes.ts';

const ROUNDS = 3;
const MEMBER_ROUNDS = 2;
const ROGUE_KINDS = ['requests', 'envelopes', 'streams'] as const;
const TURN_MS = 4000;
/** One intent every so often, at the nodes that are not attacked, in turn. */
const EVERY_MS = 25;
const CALM_MS = 1500;
const READY_MS = 6000;

interface Turn {
  readonly latenciesMs: readonly number[];
  /** Of what took part, in processor time. */
  readonly cpuMs: number;
}

interface Kind {
  readonly name: string;
  run(target: Target): Promise<{ cpuMs: number }>;
}

interface Target {
  readonly node: BenchNode;
  readonly port: number;
}

const strangers = (addresses: readonly string[]) => (target: Target) =>
  attack({ kind: 'connections', port: target.port, addresses, perSecond: 1000, ms: TURN_MS });

const KINDS: readonly Kind[] = [
  { name: '1,000 connections a second', run: strangers(['127.0.0.1']) },
  { name: 'the same from 50 addresses', run: strangers(FIFTY) },
  {
    name: '100 slow hellos a second',
    run: ({ port }) =>
      attack({ kind: 'slow', port, addresses: FIFTY, perSecond: 100, ms: TURN_MS }),
  },
  {
    name: '100 oversized frames a second',
    run: ({ port }) =>
      attack({ kind: 'oversized', port, addresses: FIFTY, perSecond: 100, ms: TURN_MS }),
  },
];

export async function flood(): Promise<Figure[]> {
  const figures = await withCluster({ size: 4 }, byStrangers);
  const rounds: Ratios[][] = [];
  // A member that was cut stays out for a while, so that each round needs a cluster of its own.
  for (let round = 0; round < MEMBER_ROUNDS; round += 1) {
    rounds.push(await withCluster({ size: 4 }, byMember));
  }
  const ofMembers = ROGUE_KINDS.flatMap((kind, i) => {
    const name = `a member that floods with ${kind}`;
    return figuresOf(
      name,
      rounds.map((each) => each[i]!),
    );
  });
  return [...figures, ...ofMembers];
}

async function byStrangers({ nodes }: BenchCluster): Promise<Figure[]> {
  const [first, ...others] = nodes;
  const target = await targetOf(first!);
  // What comes first pays for all that is compiled late.
  await turn(others, idle);
  const before = residentOf(nodes);
  const figures: Figure[] = [];
  for (const { name, run } of KINDS) {
    const rounds: Ratios[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      rounds.push(await measure(others, () => run(target)));
    }
    figures.push(...figuresOf(name, rounds));
  }
  await until('its peers again', async () => {
    const { peers } = await target.node.client.call('node.status');
    return peers.connected === 3 ? true : undefined;
  });
  const [grown, ...control] = residentOf(nodes).map((mib, i) => mib - before[i]!);
  return [
    ...figures,
    {
      name: 'memory of the target after all of it, beyond that of the others',
      unit: 'MiB',
      samples: control.map((mib) => grown! - mib),
      goal: { most: 100 },
    },
    // They decide some thousand intents meanwhile.
    { name: '  the target, more than before', unit: 'MiB', samples: [grown!] },
    { name: '  others, more than before', unit: 'MiB', samples: control },
  ];
}

interface Ratios {
  /** Of the p95 of finality to that without an attack. */
  readonly attacked: number;
  /** The same with as much work for nobody. */
  readonly burnt: number;
  /** Of a core. */
  readonly attackerPercent: number;
  readonly intents: number;
}

/** Quiet, the attack, and as much work for nobody, one after the other. */
async function measure(
  nodes: readonly BenchNode[],
  run: () => Promise<{ cpuMs: number }>,
  ready: () => Promise<void> = () => Promise.resolve(),
): Promise<Ratios> {
  const quiet = await turn(nodes, idle);
  await ready();
  const attacked = await turn(nodes, run);
  const share = Math.min(1, attacked.cpuMs / TURN_MS);
  const control = await turn(nodes, () => burn({ share, ms: TURN_MS }));
  return {
    attacked: p95(attacked) / p95(quiet),
    burnt: p95(control) / p95(quiet),
    attackerPercent: share * 100,
    intents: attacked.latenciesMs.length,
  };
}

function figuresOf(name: string, rounds: readonly Ratios[]): Figure[] {
  const intents = rounds.reduce((sum, round) => sum + round.intents, 0);
  return [
    {
      name: `finality p95 under ${name} (${intents} intents)`,
      unit: 'x',
      samples: rounds.map(({ attacked }) => attacked),
      goal: { most: 2 },
    },
    {
      name: '  the same work of an idle process instead',
      unit: 'x',
      samples: rounds.map(({ burnt }) => burnt),
    },
    {
      name: '  processor of the attacker',
      unit: '% core',
      samples: rounds.map(({ attackerPercent }) => attackerPercent),
    },
  ];
}

/**
 * The fourth node goes, and what floods the others has its keys: each of them once, for who has cut
 * it off does not let it in again soon. All three are needed to decide.
 */
async function byMember(cluster: BenchCluster): Promise<Ratios[]> {
  const rogue = cluster.nodes[3]!;
  const honest = cluster.nodes.slice(0, 3);
  process.kill(rogue.pid, 'SIGTERM');
  for (const { client } of honest) {
    await until('two peers', async () => {
      const { peers } = await client.call('node.status');
      return peers.connected === 2 ? true : undefined;
    });
  }
  await turn(honest, idle);
  const rounds: Ratios[] = [];
  for (const [i, kind] of ROGUE_KINDS.entries()) {
    const target = await targetOf(honest[i]!);
    const others = honest.filter(({ nodeId }) => nodeId !== target.node.nodeId);
    let flooding: Promise<{ cpuMs: number }> | undefined;
    // Unlocking its keys is not the flood.
    const ready = async (): Promise<void> => {
      flooding = goRogue({
        home: rogue.home,
        passphraseFile: cluster.passphraseFile,
        targets: [{ kind, address: `/ip4/127.0.0.1/tcp/${target.port}` }],
        count: 1_000_000,
        startAt: Date.now() + READY_MS + CALM_MS,
        ms: TURN_MS,
      });
      await pause(READY_MS);
    };
    rounds.push(await measure(others, () => flooding!, ready));
  }
  return rounds;
}

const residentOf = (nodes: readonly BenchNode[]): number[] =>
  nodes.map(({ pid }) => residentMib(pid));

async function targetOf(node: BenchNode): Promise<Target> {
  const { addresses } = await node.client.call('node.status');
  return { node, port: Number(addresses[0]!.split('/')[4]) };
}

const idle = async (): Promise<{ cpuMs: number }> => {
  await pause(TURN_MS);
  return { cpuMs: 0 };
};

const p95 = ({ latenciesMs }: Turn): number => summaryOf(latenciesMs).p95;

let made = 0;

/** Single intents at these nodes in turn, for as long as `meanwhile` takes. */
async function turn(
  nodes: readonly BenchNode[],
  meanwhile: () => Promise<{ cpuMs: number }>,
): Promise<Turn> {
  await pause(CALM_MS);
  const latenciesMs: number[] = [];
  const under = new Set<Promise<void>>();
  const state = { isOver: false };
  const work = meanwhile().finally(() => {
    state.isOver = true;
  });
  for (let i = 0; !state.isOver; i += 1) {
    const node = nodes[i % nodes.length]!;
    const sent = submit(node).then((ms) => void latenciesMs.push(ms));
    under.add(sent);
    void sent.finally(() => under.delete(sent)).catch(() => undefined);
    await pause(EVERY_MS);
  }
  await Promise.all(under);
  return { latenciesMs, cpuMs: (await work).cpuMs };
}

async function submit({ client }: BenchNode): Promise<number> {
  made += 1;
  const change = {
    path: `flood/${made}`,
    version: versionCidOf(Buffer.from(`${made}`)).toString(),
  };
  const sentAt = performance.now();
  const body = { intents: [{ changes: [change] }], wait: 'final' as const, timeoutMs: 30_000 };
  const { intents } = await client.call('intents.submit', { body });
  if (intents[0]?.result !== 'done') throw new Error(`not done: ${JSON.stringify(intents[0])}`);
  return performance.now() - sentAt;
}
