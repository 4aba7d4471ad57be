/**
 * A process that is a member of a cluster and floods another one, with the keys from a home and a
 * network room without limits of its own. Prints one JSON line at its end. Started by attack.ts.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolveHome } from '../../src/core/config/home.ts';
import { isAegisError } from '../../src/core/errors.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { openGenesis } from '../../src/core/model/genesis.ts';
import { Host } from '../../src/core/network/host.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import { GIB } from '../../src/core/units.ts';
import { silent, trustful, uncounted } from '../e2e/support/liar.ts';
import type { RoguePlan } from './attack.ts';

const plan = JSON.parse(process.argv[2] ?? '{}') as RoguePlan;
const paths = resolveHome({ home: plan.home, env: {} });
const passphrase = readFileSync(plan.passphraseFile, 'utf8');
const keystore = await Keystore.open({ dir: paths.keys, passphrase });
const genesis = openGenesis(new Uint8Array(readFileSync(paths.genesis)));
const MANY = 100_000;
const host = await Host.create(
  {
    networkSeed: keystore.networkSeed(),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    profile: 'loopback',
    // Its own limits are not those of the others.
    limits: {
      rpcInFlight: MANY,
      rpcQueue: MANY,
      rpcBufferBytes: GIB,
      bulkPerPeer: MANY,
      bulkTotal: MANY,
      maxStreamsPerConnection: MANY,
    },
    hello: trustful(genesis.clusterId, keystore.inceptionBytes),
  },
  { log: silent, metrics: uncounted, clock: systemClock(), random: systemRandom },
);

let sent = 0;
let answered = 0;
const refused: Record<string, number> = {};
const note = (error: unknown): void => {
  const setting = /limits\.\w+/.exec(isAegisError(error) ? error.message : '')?.[0];
  const why = isAegisError(error) ? error.code : 'BUG';
  const key = setting === undefined ? why : `${why} ${setting}`;
  refused[key] = (refused[key] ?? 0) + 1;
};

/** Starts as many as it can until the count or the time is reached; waits for no answer. */
async function flood(one: () => unknown): Promise<void> {
  const end = performance.now() + plan.ms;
  while (performance.now() < end) {
    for (let i = 0; i < 200 && sent < plan.count; i += 1) {
      sent += 1;
      void Promise.resolve()
        .then(one)
        .then(() => {
          answered += 1;
        }, note);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const { nodeId } = plan;
const FLOODS: Readonly<Record<RoguePlan['kind'], () => unknown>> = {
  requests: () => host.request(nodeId, 'kb/last', Buffer.from(nodeId), { timeoutMs: plan.ms }),
  envelopes: () => host.send({ to: nodeId, protocol: 'consensus', body: randomBytes(64) }),
  // Each is opened, says what it wants, and waits for an answer that nobody reads.
  streams: () => host.openBulk(nodeId, randomBytes(32)),
};

await host.start();
await host.dial(plan.target, { timeoutMs: 5000 });
await flood(FLOODS[plan.kind]);
await host.stop();
keystore.close();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ sent, answered, refused, cpuMs: (user + system) / 1000 }));
process.exit(0);
