/** How each kind of fault strikes a world, and how it ends. */
import { unreachable } from '../assert.ts';
import { SECOND } from '../units.ts';
import type { CrashOutcome } from './disk.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { Link, SimNetwork } from './network.ts';
import type { Boundary, SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import type { World } from './world.ts';

/** Clocks of nodes that follow the rules differ by less than what the chain allows. */
const JUMP_MAX_MS = 230 * SECOND;
const TAIL_MAX = 8;
const PARTIAL_CUT_RATE = 0.4;
/** How long a node is down for a newer program, and how long until most have it. */
const UPGRADE_MS_MAX = 3000;
const ROLLOUT_MS_MAX = 40 * SECOND;

/** How to end the fault; undefined when it cannot strike now. */
type Undo = (() => void) | undefined;

const nothing = (): void => {};

/** Lets the fault strike; `world.struck` is called when it does. */
export function strike(world: World, fault: Fault): void {
  const node = world.nodes[fault.node]!;
  const undo = ofNetwork(world, node, fault) ?? ofNode(world, node, fault);
  if (undo === undefined) return;
  const isDelayed = boundaryOf(fault.kind) !== undefined || fault.kind === 'failed-sync';
  if (!isDelayed) world.struck(fault);
  world.clock.after(fault.forMs, undo);
}

function ofNetwork(world: World, node: SimNode, fault: Fault): Undo {
  const { network } = world;
  const { kind, force } = fault;
  const random = world.random.child(`strike ${kind} ${fault.atMs}`);
  switch (kind) {
    case 'cut':
      return network.cut(new Map(world.nodes.map(({ nodeId }, i) => [nodeId, sideOf(i, force)])));
    case 'cut-partial':
      return network.block(somePairs(world, random), { breaks: true });
    case 'cut-one-way':
      return network.block(someLinks(world, node, random), { breaks: true });
    case 'half-open':
      return network.block(someLinks(world, node, random), { breaks: false });
    case 'loss':
      return rate(network, 'lossRate', force / 2, 0);
    case 'doubling':
      return rate(network, 'doubleRate', force, 0);
    case 'reordering':
      return rate(network, 'reorderRate', force, 0);
    case 'slow-network':
      return rate(network, 'slowness', 1 + force * 20, 1);
    default:
      return undefined;
  }
}

function ofNode(world: World, node: SimNode, fault: Fault): Undo {
  const { kind, force } = fault;
  switch (kind) {
    case 'crash':
      return stop(node, force < 0.3 ? 'landed' : 'lost');
    case 'crash-before-commit':
    case 'crash-after-commit':
    case 'crash-between-sends':
    case 'lost-write':
    case 'torn-write':
      return stopAt(world, node, fault);
    case 'pause':
      if (!node.isUp) return undefined;
      node.isPaused = true;
      return () => node.resume();
    case 'slow-disk':
      node.disk.slowness = 1 + force * 100;
      return () => {
        node.disk.slowness = 1;
      };
    case 'full-disk':
      node.disk.isFull = true;
      return () => {
        node.disk.isFull = false;
      };
    case 'failed-sync':
      node.disk.failsToSync = true;
      return nothing;
    case 'clock-forward':
      return jump(node, force * JUMP_MAX_MS);
    case 'clock-back':
      return jump(node, -force * JUMP_MAX_MS);
    case 'damaged-tail':
      return goBack(world, node, 1 + Math.floor(force * TAIL_MAX));
    case 'restored-copy':
      return goBack(world, node, Math.ceil(force * node.disk.transactions));
    case 'disk-loss':
      return damage(world, node, () => node.disk.lose());
    case 'key-change':
      return node.isUp && world.scenario.changeKeys?.(node, force) === true ? nothing : undefined;
    case 'restored-home':
      return restore(world, node, force);
    case 'signer-refusal':
      return refuse(world, node, force);
    case 'member-change':
      return done(world.scenario.changeMembers?.(world, randomOf(world, fault)));
    case 'ruling':
      return done(world.scenario.rule?.(world, randomOf(world, fault)));
    case 'prune':
      return done(node.isUp && world.scenario.prune?.(node, force));
    case 'upgrade':
      return upgrade(world, node, fault);
    case 'root-damage':
      return world.scenario.damage?.(node, force) === true ? nothing : undefined;
    default:
      return unreachable(kind as never);
  }
}

const BOUNDARIES: Partial<Record<FaultKind, Boundary>> = {
  'crash-before-commit': 'before-commit',
  'crash-after-commit': 'after-commit',
  'crash-between-sends': 'between-sends',
  'lost-write': 'in-commit',
  'torn-write': 'in-commit',
};

const boundaryOf = (kind: FaultKind): Boundary | undefined => BOUNDARIES[kind];

function stop(node: SimNode, outcome: CrashOutcome = 'lost'): Undo {
  if (!node.isUp) return undefined;
  node.crash(outcome);
  return () => {
    if (!node.isUp) node.start();
  };
}

/** The node crashes where it comes to the boundary next, and starts again after the fault. */
function stopAt(world: World, node: SimNode, fault: Fault): Undo {
  const boundary = boundaryOf(fault.kind);
  if (!node.isUp || boundary === undefined) return undefined;
  node.crashAt(boundary, () => {
    world.struck(fault);
    node.crash(fault.kind === 'torn-write' ? 'torn' : 'lost');
    world.clock.after(fault.forMs, () => {
      if (!node.isUp) node.start();
    });
  });
  return nothing;
}

function jump(node: SimNode, byMs: number): Undo {
  node.jumpMs = Math.trunc(byMs);
  return () => {
    node.jumpMs = 0;
  };
}

function goBack(world: World, node: SimNode, transactions: number): Undo {
  if (transactions === 0 || transactions > node.disk.transactions) return undefined;
  return damage(world, node, () => node.disk.goBack(transactions));
}

/** Something durable is lost while the node is down, if the system promises to survive that now. */
function damage(world: World, node: SimNode, lose: () => void): Undo {
  const { checkers } = world.scenario;
  if (!node.isUp || !checkers.every((checker) => checker.allowsDiskLoss?.(node) ?? true)) {
    return undefined;
  }
  const undo = stop(node);
  for (const checker of checkers) checker.onDiskLoss?.(node);
  lose();
  return undo;
}

/** The disk of a restored home is empty, or as old as some copy. */
function restore(world: World, node: SimNode, force: number): Undo {
  const { scenario } = world;
  if (scenario.restoreHome === undefined) return undefined;
  const transactions = Math.floor(force * 2 * node.disk.transactions);
  return damage(world, node, () => {
    scenario.restoreHome?.(node, force);
    if (transactions > node.disk.transactions) node.disk.lose();
    else node.disk.goBack(transactions);
  });
}

const randomOf = ({ random }: World, { kind, atMs }: Fault): SimRandom =>
  random.child(`strike ${kind} ${atMs}`);

const done = (isDone: boolean | undefined): Undo => (isDone === true ? nothing : undefined);

/** A newer program is out: one node gets it at once, and most others at some time from then on. */
function upgrade(world: World, first: SimNode, fault: Fault): Undo {
  const random = randomOf(world, fault);
  const change = (node: SimNode): boolean => {
    if (!node.isUp || world.scenario.upgrade?.(node, random) !== true) return false;
    const start = stop(node);
    world.clock.after(random.between(10, UPGRADE_MS_MAX), () => start?.());
    return true;
  };
  for (const node of world.nodes) {
    if (node === first || random.chance(0.25)) continue;
    world.clock.after(random.between(0, ROLLOUT_MS_MAX), () => change(node));
  }
  return done(change(first));
}

function refuse({ scenario }: World, node: SimNode, force: number): Undo {
  if (scenario.refuseSigning?.(node, force < 0.5 ? 'lost' : 'no') !== true) return undefined;
  return () => scenario.refuseSigning?.(node, undefined);
}

function rate(
  network: SimNetwork,
  name: 'lossRate' | 'doubleRate' | 'reorderRate' | 'slowness',
  value: number,
  calm: number,
): Undo {
  network[name] = value;
  return () => {
    network[name] = calm;
  };
}

/** Both directions of some pairs, so that others still reach both ends. */
function somePairs({ nodes }: World, random: SimRandom): Link[] {
  return nodes.flatMap((a, i) =>
    nodes
      .slice(i + 1)
      .filter(() => random.chance(PARTIAL_CUT_RATE))
      .flatMap((b): Link[] => [
        [a.nodeId, b.nodeId],
        [b.nodeId, a.nodeId],
      ]),
  );
}

/** One direction between a node and some others. */
function someLinks({ nodes }: World, node: SimNode, random: SimRandom): Link[] {
  const isOut = random.chance(0.5);
  return nodes
    .filter((other) => other !== node && random.chance(0.6))
    .map((other): Link => (isOut ? [node.nodeId, other.nodeId] : [other.nodeId, node.nodeId]));
}

/** Which side of a cut a node is on: two sides, drawn from the force. */
const sideOf = (index: number, force: number): number => (Math.floor(force * 64) >> index) & 1;
