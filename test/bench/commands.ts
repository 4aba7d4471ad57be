/** How much longer than an empty Node program short commands take. */
import { withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { BIN, timed, type Usage } from './processes.ts';

const ROUNDS = 30;

export async function commands(): Promise<Figure[]> {
  return await withCluster({ size: 1 }, async ({ nodes: [node] }) => {
    const programs = {
      node: ['-e', '0'],
      version: [BIN, '--version'],
      status: [BIN, 'node', 'status', '--home', node!.home],
    };
    const samples = { node: [] as Usage[], version: [] as Usage[], status: [] as Usage[] };
    // The first rounds fill the compile cache and the page cache.
    for (let round = -2; round < ROUNDS; round += 1) {
      const names = Object.keys(programs) as (keyof typeof programs)[];
      // Another order each round, so that no program always follows the same one.
      const order = names.map((_, i) => names[(i + round + 3) % names.length]!);
      for (const name of order) {
        const usage = await timed([process.execPath, ...programs[name]]);
        if (round >= 0) samples[name].push(usage);
      }
    }
    const ratio = (name: 'version' | 'status', kind: keyof Usage): number[] =>
      samples[name].map((usage, i) => usage[kind] / samples.node[i]![kind]);
    return [
      figure('aegis --version / node -e 0, wall', ratio('version', 'wallMs'), 1.3),
      figure('aegis --version / node -e 0, CPU', ratio('version', 'cpuMs'), 1.3),
      figure('aegis node status / node -e 0, wall', ratio('status', 'wallMs'), 2.5),
      figure('aegis node status / node -e 0, CPU', ratio('status', 'cpuMs'), 2.5),
      { name: '  node -e 0', unit: 'ms', samples: samples.node.map(({ wallMs }) => wallMs) },
    ];
  });
}

const figure = (name: string, samples: readonly number[], most: number): Figure => ({
  name,
  unit: 'x',
  samples,
  goal: { most },
});
