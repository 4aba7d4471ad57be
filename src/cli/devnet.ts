/** What the commands of `devnet` share: where it lives, which node is meant, how it looks. */
import { join } from 'node:path';
import { Args } from '@oclif/core';
import type { HomePaths } from '../core/config/home.ts';
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

export const devnetTable = (nodes: readonly DevnetStatus[]): string =>
  table(nodes, [
    { title: 'NODE', cell: (node) => node.name },
    { title: 'STATE', cell: (node) => node.state },
    { title: 'PID', cell: (node) => node.pid, align: 'right' },
    { title: 'ADDRESS', cell: (node) => node.address },
    { title: 'HOME', cell: (node) => node.home },
  ]);
