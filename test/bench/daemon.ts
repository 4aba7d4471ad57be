/** What a daemon costs that has nothing to do, and the monitor that watches it. */
import { spawn } from 'node:child_process';
import { withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { BIN, childrenOf, corePercent, pause, residentMib, until } from './processes.ts';

const SETTLE_MS = 8000;
const IDLE_MS = 15_000;
const MONITOR_MS = 30_000;

export async function daemon(): Promise<Figure[]> {
  return await withCluster({ size: 4 }, async ({ nodes, startMs }) => {
    await pause(SETTLE_MS);
    const percents = await Promise.all(nodes.map(({ pid }) => corePercent(pid, IDLE_MS)));
    const resident = nodes.map(({ pid }) => (residentMib(pid) * 2 ** 20) / 1e6);
    return [
      { name: 'start of a daemon to READY', unit: 'ms', samples: startMs, goal: { most: 1500 } },
      {
        name: 'resident, idle with 3 peers',
        unit: 'MB',
        samples: resident,
        goal: { most: 160 },
      },
      {
        name: 'processor, idle with 3 peers',
        unit: '% of a core',
        samples: percents,
        goal: { most: 1 },
      },
    ];
  });
}

export async function monitor(): Promise<Figure[]> {
  return await withCluster({ size: 5 }, async ({ nodes: [node] }) => {
    const inside = 'exec "$AEGIS_NODE" "$AEGIS_BIN" monitor --interval 500ms';
    const command = `stty rows 40 cols 120; ${inside}`;
    const script = spawn('script', ['-qfc', command, '/dev/null'], {
      // A pipe that stays open: script ends when its input does.
      stdio: ['pipe', 'ignore', 'inherit'],
      env: {
        ...process.env,
        TERM: 'xterm-256color',
        AEGIS_HOME: node!.home,
        AEGIS_NODE: process.execPath,
        AEGIS_BIN: BIN,
      },
    });
    try {
      const pid = await until('the monitor', () => childrenOf(script.pid!)[0]);
      await pause(5000);
      const percents: number[] = [];
      for (let i = 0; i < 3; i += 1) percents.push(await corePercent(pid, MONITOR_MS / 3));
      const ended = new Promise((resolve) => script.once('exit', resolve));
      script.stdin.write('q');
      await ended;
      return [
        {
          name: 'monitor at 2 Hz with 4 peers',
          unit: '% of a core',
          samples: percents,
          goal: { most: 6 },
        },
      ];
    } finally {
      if (script.exitCode === null) script.kill();
    }
  });
}
