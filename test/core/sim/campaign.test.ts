import { describe, expect, it } from 'vitest';
import {
  type CampaignOptions,
  runReplayText,
  runShare,
  type SeedResult,
  Totals,
} from '../../../src/core/sim/campaign.ts';
import { runCampaign } from '../../../src/core/sim/jobs.ts';

const short: CampaignOptions = {
  first: 1,
  count: 4,
  nodes: [4],
  fixed: { durationMs: 5000, latency: 'lan', agents: 0 },
  realEvery: 4,
  againEvery: 2,
};

describe('a campaign', { timeout: 120_000 }, () => {
  it('runs the same seeds with the same outcome on one thread and on two', async () => {
    const outcomes = async (jobs: number): Promise<SeedResult[]> => {
      const results: SeedResult[] = [];
      await runCampaign(short, { jobs }, (result) => results.push(result));
      return results.toSorted((a, b) => (a.seed < b.seed ? -1 : 1));
    };
    const alone = await outcomes(1);
    expect(alone.map(({ seed }) => seed)).toEqual(['1', '2', '3', '4']);
    expect(await outcomes(2)).toEqual(alone);
  });

  it('adds up what happened', () => {
    const totals = new Totals();
    for (const result of runShare(short, 1, 0)) totals.add(result);
    const { counts, failures } = totals;
    expect(failures).toEqual([]);
    expect(counts).toMatchObject({ seeds: 4, realSeeds: 1 });
    expect(counts.heights).toBeGreaterThan(4);
    expect(counts.intents).toBeGreaterThan(4);
    expect(counts.nodeHours).toBeGreaterThan((4 * 4 * 5) / 3600);
    expect(totals.heightsMedian).toBeGreaterThan(0);
  });

  it('catches nodes that send before they have written, and says how to see it again', () => {
    const fixed = { ...short.fixed, isHasty: true };
    const totals = new Totals();
    for (const result of runShare({ ...short, fixed }, 1, 0)) totals.add(result);
    expect(totals.failures).toHaveLength(4);
    for (const { seed, message, replay } of totals.failures) {
      expect(message).toMatch(/^durability: n\d sends its \w+ of .* before it is durable$/);
      const real = seed === '1' ? ':real' : '';
      const line = `npx aegis sim --replay ${seed}:nodes=4:agents=0:latency=lan:duration=5${real}`;
      expect(replay).toBe(line);
    }
  });

  it('replays one run, by its name', () => {
    const name = '7:nodes=4:agents=1:latency=lan:duration=5:faults=crash';
    const [one, two] = [runReplayText(name), runReplayText(name)];
    expect(one).toEqual(two);
    expect(one).toMatchObject({ seed: '7', custodians: 4, nodes: 5, latency: 'lan' });
  });
});
