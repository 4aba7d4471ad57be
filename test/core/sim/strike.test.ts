/**
 * Faults where they strike, on a machine that writes a number and then sends it to all others.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../../../src/core/machine.ts';
import { connectorTie } from '../../../src/core/sim/connector.ts';
import { CONSENSUS_FAULTS, type Fault } from '../../../src/core/sim/faults.ts';
import { PROFILES } from '../../../src/core/sim/latency.ts';
import type { SimNode } from '../../../src/core/sim/node.ts';
import type { Checker, Scenario, Tie } from '../../../src/core/sim/scenario.ts';
import { strike } from '../../../src/core/sim/strike.ts';
import { World } from '../../../src/core/sim/world.ts';
import { instant } from '../../../src/core/units.ts';

const TABLE = 'numbers';
type Input = { say: number } | { from: string; body: Uint8Array };

class NumberScenario implements Scenario {
  readonly faults = CONSENSUS_FAULTS;
  readonly heard: string[] = [];
  readonly sent: string[] = [];
  allows = true;
  /** What happened to keys. */
  readonly keys: string[] = [];
  readonly checkers: readonly Checker[] = [
    {
      onSend: (node, { to }) => {
        const name = node.world.node(to)!.options.name;
        this.sent.push(`${node.options.name} to ${name}`);
      },
      allowsDiskLoss: () => this.allows,
    },
  ];

  boot(node: SimNode): Tie[] {
    const members = node.world.nodes.map(({ nodeId }) => nodeId);
    const machine: Machine<Input> = {
      step: (input) => {
        if ('from' in input) {
          this.heard.push(`${node.options.name} heard ${input.body[0]}`);
          return { entries: [], messages: [], alarms: [], outcomes: [] };
        }
        const value = Uint8Array.of(input.say);
        const others = members.filter((member) => member !== node.nodeId);
        return {
          entries: [{ table: TABLE, key: `${input.say}`, value }],
          messages: others.map((to) => ({ to, protocol: 'numbers', body: value })),
          alarms: [],
          outcomes: [],
        };
      },
    };
    const tie: Tie = {
      name: 'numbers',
      machine,
      first: [],
      alarmInput: () => undefined,
      envelopeInput: (from, { protocol, body }) =>
        protocol === 'numbers' ? { from, body } : undefined,
      tell: () => {},
    };
    return [connectorTie(node, members), tie];
  }

  act(): void {}

  changeKeys(node: SimNode, force: number): boolean {
    this.keys.push(`${node.options.name} changes`);
    return force < 1;
  }

  restoreHome(node: SimNode): void {
    this.keys.push(`${node.options.name} is restored`);
  }

  refuseSigning(node: SimNode, how: 'no' | 'lost' | undefined): boolean {
    this.keys.push(`${node.options.name} ${how ?? 'signs'}`);
    return true;
  }

  unsettled(): undefined {
    return undefined;
  }
}

describe('a fault', () => {
  let world: World;
  let scenario: NumberScenario;
  const run = (ms: number): void => world.clock.runUntil(instant(world.clock.now() + ms));
  const fault = (kind: Fault['kind'], force = 0.5): void =>
    strike(world, { kind, atMs: 0, forMs: 1000, node: 0, force });
  const say = (value: number, waitMs = 500): void => {
    world.nodes[0]!.submit('numbers', { say: value });
    run(waitMs);
  };
  const kept = (): string[] => world.nodes[0]!.disk.scan(TABLE).map(({ key }) => key);

  beforeEach(() => {
    const disk = { minMs: 5, maxMs: 5, keepsHistory: true };
    const options = { seed: 'strike', nodes: 4, network: PROFILES.lan, disk };
    world = new World(options, { scenario: () => new NumberScenario() });
    scenario = world.scenario as NumberScenario;
    for (const node of world.nodes) node.start();
    run(5000);
    say(1);
    expect(scenario.heard).toHaveLength(3);
    expect(kept()).toEqual(['1']);
  });

  it.each([
    ['crash-before-commit', ['1'], 0],
    ['lost-write', ['1'], 0],
    ['torn-write', ['1'], 0],
    ['crash-after-commit', ['1', '2'], 0],
    ['crash-between-sends', ['1', '2'], 1],
  ] as const)('%s strikes between two effects', (kind, durable, sends) => {
    scenario.sent.length = 0;
    fault(kind);
    expect(world.nodes[0]!.isUp).toBe(true);
    say(2);
    expect(world.nodes[0]!.isUp).toBe(false);
    expect(kept()).toEqual(durable);
    expect(scenario.sent).toHaveLength(sends);
    run(2000);
    expect(world.nodes[0]!.isUp).toBe(true);
    say(3);
    expect(scenario.sent).toHaveLength(sends + 3);
  });

  it('on the disk holds back what is not durable, and kills the node when a sync fails', () => {
    fault('full-disk');
    say(2, 900);
    expect(kept()).toEqual(['1']);
    expect(scenario.heard).toHaveLength(3);
    run(3000);
    expect(kept()).toEqual(['1', '2']);
    expect(scenario.heard).toHaveLength(6);
    fault('failed-sync');
    say(3, 20);
    expect(world.nodes[0]!.isUp).toBe(false);
    expect(kept()).toEqual(['1', '2']);
    run(10_000);
    expect(world.nodes[0]!.isUp).toBe(true);
  });

  it('may take durable state only where that is allowed, and leaves a doubt', () => {
    say(2);
    scenario.allows = false;
    for (const kind of ['damaged-tail', 'restored-copy', 'disk-loss'] as const) fault(kind, 0);
    expect(kept()).toEqual(['1', '2']);
    scenario.allows = true;
    fault('damaged-tail', 0);
    expect(kept()).toEqual(['1']);
    const { disk } = world.nodes[0]!;
    expect(disk.isDoubtful).toBe(true);
    run(2000);
    fault('disk-loss');
    expect(kept()).toEqual([]);
  });

  it('changes keys, lets a signer refuse a while, and restores a home with an older disk', () => {
    say(2);
    fault('key-change');
    fault('signer-refusal');
    run(2000);
    expect(scenario.keys).toEqual(['n0 changes', 'n0 no', 'n0 signs']);
    scenario.allows = false;
    fault('restored-home');
    expect(scenario.keys).toHaveLength(3);
    scenario.allows = true;
    fault('restored-home', 0.3);
    expect([scenario.keys.at(-1), kept()]).toEqual(['n0 is restored', ['1']]);
    expect(world.nodes[0]!.isUp).toBe(false);
    fault('key-change');
    expect(scenario.keys).toHaveLength(4);
    run(2000);
    fault('restored-home', 0.9);
    expect(kept()).toEqual([]);
  });

  it('stops a node without ending it: what was under way goes on later', () => {
    world.nodes[0]!.submit('numbers', { say: 2 });
    run(1);
    fault('pause');
    run(500);
    expect(kept()).toEqual(['1', '2']);
    expect(scenario.heard).toHaveLength(3);
    run(1000);
    expect(scenario.heard).toHaveLength(6);
  });

  it('moves the clock of one node, and back again', () => {
    const [node] = world.nodes;
    const truth = (): number => node!.now() - node!.options.skewMs - world.clock.now();
    fault('clock-forward');
    expect(Math.round(truth())).toBe(115_000);
    run(2000);
    expect(Math.abs(truth())).toBeLessThan(1);
    fault('clock-back');
    expect(Math.round(truth())).toBe(-115_000);
  });

  it('cuts links in one direction, in both, or between some pairs', () => {
    for (const kind of ['cut', 'cut-one-way', 'cut-partial'] as const) {
      const before = scenario.heard.length;
      fault(kind, 0.03);
      run(990);
      say(9, 5);
      expect(scenario.heard.length, kind).toBeLessThan(before + 3);
      run(10_000);
      const healed = scenario.heard.length;
      say(10);
      expect(scenario.heard.length, kind).toBe(healed + 3);
    }
  });
});
