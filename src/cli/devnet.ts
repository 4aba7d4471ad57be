/** What the commands of `devnet` share: where it lives, which node is meant, how it looks. */
import { join } from 'node:path';
import { Args } from '@oclif/core';
import type { HomePaths } from '../core/config/home.ts';
import { quorumOf } from '../core/consensus/quorum.ts';
import type { Devnet, DevnetOptions, DevnetStatus } from '../core/node/devnet.ts';
import { table } from './format.ts';
import { VERSION } from './version.ts';

/** The argument that names one node. */
export const whichNode = {
  node: Args.string({ required: true, description: 'The node: its number from 1, or its name.' }),
};

export const devnetOptions = (home: HomePaths): DevnetOptions => ({
  dir: join(home.data, 'devnet'),
  bin: process.argv[1]!,
  version: VERSION,
});

/** @throws {AegisError} `NOT_FOUND` when there is none. */
export async function openDevnet(home: HomePaths): Promise<Devnet> {
  const { Devnet } = await import('../core/node/devnet.ts');
  return Devnet.open(devnetOptions(home));
}

export const groupsOf = ({ groups }: Devnet): string[][] | null =>
  groups?.map((group) => [...group]) ?? null;

type Groups = readonly (readonly string[])[];

interface Around {
  /** With groups there is one more column: their numbers from 1. */
  readonly groups?: Groups | null;
  /** With a private Tor network there is one more line. */
  readonly tor: Devnet['tor'];
}

export function devnetTable(
  nodes: readonly DevnetStatus[],
  { groups = null, tor }: Around,
): string {
  const rows = nodeTable(nodes, groups);
  return tor === null ? rows : `${rows}\n\nThe private Tor network of these nodes: ${tor}`;
}

const nodeTable = (nodes: readonly DevnetStatus[], groups: Groups | null): string =>
  table(nodes, [
    { title: 'NODE', cell: (node) => node.name },
    ...(groups === null ? [] : [{ title: 'GROUP', cell: groupOf(groups) }]),
    { title: 'STATE', cell: (node) => node.state },
    { title: 'PID', cell: (node) => node.pid, align: 'right' },
    { title: 'ADDRESS', cell: (node) => node.address },
    { title: 'HOME', cell: (node) => node.home },
  ]);

const groupOf =
  (groups: Groups) =>
  ({ name }: DevnetStatus): string =>
    String(groups.findIndex((group) => group.includes(name)) + 1);

/** What the groups mean for agreement: a decision takes n - f of n custodians that run. */
export function verdictOn(groups: Groups, nodes: readonly DevnetStatus[]): string {
  const quorum = quorumOf(nodes.length);
  const runs = new Set(nodes.filter(({ state }) => state === 'running').map(({ name }) => name));
  const able = groups
    .map((group) => group.filter((name) => runs.has(name)))
    .find((group) => group.length >= quorum);
  return able === undefined
    ? `No group has the ${quorum} nodes of a decision: nothing becomes final until they are joined.`
    : `Only ${able.join(', ')} can decide: a decision takes ${quorum} of ${nodes.length} nodes.`;
}

/** A sentence for each node that cannot be parted now. */
export const partedLater = (nodes: readonly DevnetStatus[]): string[] =>
  nodes
    .filter(({ state }) => state !== 'running')
    .map(({ name, state }) => `${name} is ${state}; it is parted when it comes back.`);
