/**
 * Opens what an engine is made of, in the order in which things need each other: stores, chain, who
 * is let in, Tor where the route wants it, the host, the machines. Nothing listens or dials yet.
 */
import type { BlockSummary } from '../api/contract/consensus.ts';
import type { ChainInput, Finalised } from '../chain/chain.ts';
import type { HomePaths } from '../config/home.ts';
import type { Settings } from '../config/settings.ts';
import type { Evidence } from '../consensus/types.ts';
import type { AegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Genesis } from '../model/genesis.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Host } from '../network/host.ts';
import type { Clock, Hasher, Log, Metrics, Security } from '../ports.ts';
import { ChainRows } from '../storage/chain-rows.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { ContentStore } from '../storage/content-store.ts';
import { createHasher } from '../storage/hasher.ts';
import { Bans } from './bans.ts';
import { ChainRoom } from './chain-room.ts';
import { protocolMaxOf } from './chain-settings.ts';
import { systemClock } from './clock.ts';
import { type Custody, introductionsFor } from './custody.ts';
import { Duplicities } from './duplicities.ts';
import { apart, doubleSignOf, openBoth, tooOld } from './engine-parts.ts';
import type { Introductions } from './introductions.ts';
import { type Machines, recoverMachines } from './machines.ts';
import type { FinalMerge } from './merge/final-merges.ts';
import { createHost } from './network.ts';
import { markLostFacts } from './own-history.ts';
import { followChain, usableNetworkKey } from './own-keys.ts';
import type { Peers } from './peers.ts';
import { syncMsOf } from './route.ts';
import { Routing } from './routing.ts';
import type { TorRoom } from './tor-room.ts';

export interface EngineOptions {
  readonly paths: HomePaths;
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly genesisBytes: Uint8Array;
  readonly invited: OpenInvitationFile | undefined;
  readonly keystore: Keystore;
  readonly env: NodeJS.ProcessEnv;
  /** Name and version for peers, e.g. `aegis/0.1.0`. */
  readonly agent: string;
  /** D7: the operator says that the home has voted nothing that it does not remember. */
  readonly vouch?: boolean;
}

export interface EngineDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Who was turned away, and what was seen of keys. */
  readonly security?: Security;
  /** The node cannot go on. Must end the process. */
  fatal(error: unknown): void;
  /** V3: the node goes no further. Must stop it in good order. */
  tooOld(error: AegisError): void;
  peersChanged(): void;
  pathChanged(path: string): void;
  /** Something of the height that is being decided has changed. */
  consensusMoved(): void;
  blockFinal(block: BlockSummary): void;
  /** How far Tor is, or what becomes of the onion services. */
  torChanged(tor: TorRoom): void;
}

export interface EngineParts {
  readonly store: ChainStore;
  /** W41: its tables, as the machines have written them. */
  readonly rows: ChainRows;
  readonly chain: ChainRoom;
  readonly content: ContentStore;
  readonly hashers: readonly Hasher[];
  readonly host: Host;
  readonly routing: Routing;
  readonly machines: Machines;
  readonly bans: Bans;
  readonly duplicities: Duplicities;
  readonly introductions: Introductions;
  readonly networkKey: Uint8Array;
  readonly clock: Clock;
  readonly lostMarker: string;
}

/** What the parts call of the engine; it is there once anything of them runs. */
export interface EngineHooks {
  submit(input: ChainInput): void;
  offer(input: ChainInput, origin: { from: string; sizeBytes: number }): void;
  finalised(block: Finalised): void;
  merged(merges: readonly FinalMerge[]): void;
  accused(evidence: Evidence): void;
  /** Undefined while the engine is being made. */
  custody(): Custody | undefined;
  peers(): Peers | undefined;
  /** O3 */
  torReady(): void;
}

type Stores = Pick<EngineParts, 'store' | 'rows' | 'content' | 'lostMarker'>;

/** What has been opened is closed again when a later part fails. */
export async function openParts(
  options: EngineOptions,
  deps: EngineDeps,
  hooks: EngineHooks,
): Promise<EngineParts> {
  const { chainDb, contentDb } = options.paths;
  const storage = { log: deps.log.child('storage'), fatal: deps.fatal };
  const lostMarker = await markLostFacts(chainDb, contentDb);
  const hasHistory = (await statIfPresent(lostMarker)) !== undefined;
  const [store, content] = await openBoth(
    () => ChainStore.open(chainDb, storage, { hasHistory }),
    () => ContentStore.open(contentDb, storage),
  );
  const rows = new ChainRows(chainDb);
  try {
    return await openRooms(options, deps, hooks, { store, rows, content, lostMarker });
  } catch (error) {
    rows[Symbol.dispose]();
    await Promise.all([store.close(), content.close()]);
    throw error;
  }
}

async function openRooms(
  options: EngineOptions,
  deps: EngineDeps,
  hooks: EngineHooks,
  stores: Stores,
): Promise<EngineParts> {
  const { settings, genesis, keystore } = options;
  const { log, metrics, security } = deps;
  const { store, rows } = stores;
  const { nodeId: self } = keystore;
  const hashers = await Promise.all([createHasher('blake3'), createHasher('sha2-256')]);
  const clock = systemClock();
  const chain = await ChainRoom.open(options, {
    ...{ store, rows, log: log.child('chain'), metrics, security },
    ...{ submit: hooks.submit, offer: hooks.offer, finalised: hooks.finalised },
    merged: hooks.merged,
    moved: deps.consensusMoved,
    accused: (evidence, nodeId) => {
      hooks.accused(evidence);
      security?.tell(doubleSignOf(evidence, nodeId));
    },
  });
  checkProtocol(chain, settings);
  const { roster } = chain.chain;
  // What a run before has left undone, before anybody is told a key.
  await followChain(roster.get(self), { keystore, log, now: clock.now() }).catch(apart(log));
  const networkKey = await usableNetworkKey(keystore);
  const bans = await Bans.open(store);
  const duplicities = await Duplicities.open(store);
  const introductions = introductionsFor(options, {
    ...{ room: chain, bans, clock, log },
    handIn: (bytes) => hooks.custody()?.handIn(bytes),
    learned: (nodeId) => hooks.custody()?.learned(nodeId),
    frozen: (nodeId, evidence) => hooks.custody()?.frozen(nodeId, evidence),
    // The host asks for the own introduction before there is anything to be admitted with.
    admission: () => hooks.custody()?.members.admission,
    listening: () => hooks.custody()?.keys.listening ?? networkKey,
  });
  // After the chain: it says whose versions count.
  const machines = await recoverMachines({ settings, genesis, self, roster }, stores);
  const routing = await Routing.open(options, {
    ...{ log, clock, store, roster, introductions },
    isUsed: (invitationId) => chain.chain.isUsed(invitationId),
    routed: (route) => {
      hooks.submit({ type: 'patience', answerMs: syncMsOf(route.mode) });
      hooks.peers()?.routed(route);
    },
    ready: () => hooks.torReady(),
    changed: (tor) => deps.torChanged(tor),
  });
  try {
    await routing.begin();
    const host = await createHost(options, {
      ...{ log: log.child('network'), metrics, clock, networkKey, hello: introductions },
      ...{ route: routing.parts, ...(security === undefined ? {} : { security }) },
    });
    return {
      ...{ ...stores, chain, hashers, host, routing, machines, bans, duplicities, introductions },
      ...{ clock, networkKey },
    };
  } catch (error) {
    await routing.end();
    throw error;
  }
}

/** V3. @throws {AegisError} `PROTOCOL_TOO_NEW`. */
function checkProtocol({ chain }: ChainRoom, settings: Settings): void {
  const { isTooOld, protocol } = chain.status();
  if (isTooOld) throw tooOld(protocol, chain.height + 1, protocolMaxOf(settings));
}
