/** The part of the memory backend that has a route, circuits and an onion service. */
import type { TorBackend } from '../../../src/core/api/backend.ts';
import type { Body, Query, Result } from '../../../src/core/api/contract/endpoints.ts';
import type { TorStatus, TorSummary } from '../../../src/core/api/contract/tor.ts';
import { ALICE, BOB } from './memory-chain.ts';

const AT = '2026-11-20T12:00:00.000Z';
const LATER = '2026-11-27T12:00:00.000Z';
export const ONION = `${'a'.repeat(56)}.onion`;
const BEFORE = `${'b'.repeat(56)}.onion`;
const RELAYS = ['guard', 'middle', 'rendezvous'].map((name, at) => ({
  name,
  fingerprint: String(at).repeat(40),
}));

export const TOR_OFF: TorStatus = {
  ...{ route: 'off', state: 'off', why: null, hint: null, usesExits: false, daemon: null },
  ...{ bootstrap: null, hasCircuits: null, circuits: 0, traffic: null, guards: [] },
  ...{ services: [], connections: { onion: 0, exit: 0, direct: 1 } },
};

export const TOR_READY: TorStatus = {
  ...{ route: 'require', state: 'ready', why: null, hint: null, usesExits: false },
  daemon: {
    ...{ kind: 'spawn', version: '0.4.9.11', pid: 77 },
    ...{ control: 'unix:/run/tor/control', socks: 'unix:/run/tor/socks' },
  },
  bootstrap: {
    ...{ percent: 100, tag: 'done', summary: 'Done', warning: null, reason: null },
    ...{ startedAt: AT, leftMs: null },
  },
  ...{ hasCircuits: true, circuits: 7, traffic: { bytesRead: 4096, bytesWritten: 2048 } },
  guards: [{ name: 'guard', fingerprint: '0'.repeat(40), state: 'up' }],
  services: [
    {
      ...{ address: ONION, port: 4001, state: 'published', isCurrent: true, until: null },
      ...{ publishedAt: AT, uploads: 6, clientKeys: 2, why: null },
    },
    {
      ...{ address: BEFORE, port: 4001, state: 'published', isCurrent: false, until: LATER },
      ...{ publishedAt: AT, uploads: 6, clientKeys: 2, why: null },
    },
  ],
  connections: { onion: 1, exit: 0, direct: 0 },
};

export class MemoryTor implements TorBackend {
  /** Replaced by tests. */
  now: TorStatus = TOR_OFF;
  /** Replaced by tests. */
  checks: Result<'tor.check'>['checks'] = [
    { id: 'transports', verdict: 'yes', message: 'there is no TCP transport', hint: null },
  ];
  /** What `route` says; replaced by tests. */
  whyNot: string | null = null;
  readonly routes: Body<'tor.route'>['mode'][] = [];

  summary(): TorSummary {
    const { route, state, services } = this.now;
    return { route, state, onion: services[0]?.address ?? null };
  }

  async status(): Promise<TorStatus> {
    return this.now;
  }

  async route({ mode }: Body<'tor.route'>): Promise<Result<'tor.route'>> {
    const { route: before } = this.now;
    this.routes.push(mode);
    this.now = mode === 'off' ? TOR_OFF : { ...TOR_READY, route: mode };
    const { state } = this.now;
    const settings = { settings: '/home/alice/config.json', disconnected: 1, why: this.whyNot };
    return { route: mode, before, changed: mode !== before, state, ...settings };
  }

  async check({ target }: Body<'tor.check'>): Promise<Result<'tor.check'>> {
    if (target === undefined) return { checks: this.checks, target: null };
    return { checks: [], target: { target, class: 'onion', tookMs: 812, status: null } };
  }

  async circuits({ streams }: Query<'tor.circuits'>): Promise<Result<'tor.circuits'>> {
    const peer = { nodeId: BOB.nodeId, name: BOB.name };
    return {
      circuits: [
        {
          ...{ id: '12', state: 'BUILT', purpose: 'HS_CLIENT_REND', hsState: 'HSCR_JOINED' },
          ...{ path: RELAYS, createdAt: AT, peer, lane: 'talk', onion: BEFORE, conflux: null },
        },
        {
          ...{ id: '13', state: 'BUILT', purpose: 'GENERAL', hsState: null, path: RELAYS },
          ...{ createdAt: AT, peer: null, lane: null, onion: null, conflux: 'ABCD' },
        },
      ],
      streams: streams
        ? [
            {
              ...{ id: '3', state: 'SUCCEEDED', circuit: '12', target: `${BEFORE}:4001` },
              ...{ peer, lane: 'talk' },
            },
          ]
        : null,
    };
  }

  async newnym({ peer }: Body<'tor.newnym'>): Promise<Result<'tor.newnym'>> {
    if (peer === undefined) return { peer: null, disconnected: 0 };
    return { peer: { nodeId: BOB.nodeId, name: BOB.name }, disconnected: 1 };
  }

  async onion(): Promise<Result<'tor.onion'>> {
    return {
      services: [...TOR_READY.services],
      ...{ clientAuth: true, clientKeysMax: 256, epoch: { number: 2965, endsAt: LATER } },
      pow: false,
      clients: [
        { kind: 'member', nodeId: ALICE.nodeId, name: ALICE.name, keys: 1, until: null },
        { kind: 'invitation', nodeId: null, name: null, keys: 1, until: LATER },
      ],
    };
  }

  async renew({ cut }: Body<'tor.renew'>): Promise<Result<'tor.renew'>> {
    return { address: ONION, clientKeys: 2, circuitsClosed: cut ? 3 : 0, tookMs: 5 };
  }
}
