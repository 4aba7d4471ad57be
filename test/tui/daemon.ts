/**
 * The real API server over a backend that knows what the monitor asks: a state and its changes.
 */

import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../src/core/api/backend.ts';
import type { Change } from '../../src/core/api/contract/events.ts';
import { Server } from '../../src/core/api/server/server.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { AegisError } from '../../src/core/errors.ts';
import type { Log } from '../../src/core/ports.ts';
import { snapshot } from './fixtures.ts';

const SILENT: Log = { write: () => undefined, child: () => SILENT };

const unasked = (): never => {
  throw new AegisError('BAD_REQUEST', 'the monitor never asks for this');
};

export class TinyDaemon {
  /** The home to give to the command. */
  readonly home = mkdtempSync(join(tmpdir(), 'aegis-tui-'));
  readonly #listeners = new Set<(change: Change) => void>();
  #server: Server | undefined;

  constructor() {
    mkdirSync(resolveHome({ home: this.home, env: {} }).run, { mode: 0o700, recursive: true });
  }

  async start(): Promise<void> {
    const paths = resolveHome({ home: this.home, env: {} });
    const random = { bytes: (length: number) => new Uint8Array(randomBytes(length)) };
    this.#server = await Server.start({ backend: this.#backend(), paths }, { log: SILENT, random });
  }

  async stop(): Promise<void> {
    await this.#server?.stop({ deadlineMs: 100 });
    this.#server = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  /** Tells every open monitor. */
  tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** Open event streams. */
  get watchers(): number {
    return this.#listeners.size;
  }

  #backend(): Backend {
    const { type: _type, schema: _schema, ...state } = snapshot();
    return {
      status: () => Promise.resolve(state.node),
      snapshot: () => Promise.resolve(state),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      info: unasked,
      wait: unasked,
      stop: unasked,
      backup: unasked,
      metrics: unasked,
      peers: unasked,
      peer: unasked,
      addPeer: unasked,
      removePeer: unasked,
      pingPeer: unasked,
      auditPeer: unasked,
      findPeer: unasked,
      whyPeer: unasked,
      isolatePeers: unasked,
      banPeer: unasked,
      unbanPeer: unasked,
      keys: unasked,
      sealVersions: unasked,
      adoptKeys: unasked,
      rotateSession: unasked,
      keyHistory: unasked,
      members: unasked,
      invite: unasked,
      leave: unasked,
      propose: unasked,
      approve: unasked,
      proposals: unasked,
      clusterState: unasked,
      quotas: unasked,
      consensus: unasked,
      blocks: unasked,
      block: unasked,
      validators: unasked,
      explainBlock: unasked,
      evidence: unasked,
      pruneChain: unasked,
      submitIntents: unasked,
      intents: unasked,
      intent: unasked,
      cancelIntent: unasked,
      anchor: unasked,
      anchors: unasked,
      relayIntents: unasked,
      tor: {
        ...{ status: unasked, route: unasked, check: unasked, circuits: unasked },
        ...{ newnym: unasked, onion: unasked, renew: unasked },
      },
      search: { find: unasked },
      merges: { conflicts: unasked, resolve: unasked },
      copies: { status: unasked, repair: unasked, scrub: unasked, drain: unasked },
      space: {
        gc: unasked,
        space: unasked,
        pin: unasked,
        unpin: unasked,
        pins: unasked,
      },
      versions: {
        ...{ revert: unasked, remove: unasked, putEach: unasked, diff: unasked, watch: unasked },
      },
      grant: unasked,
      revoke: unasked,
      erase: unasked,
      rights: unasked,
      put: unasked,
      get: unasked,
      list: unasked,
      log: unasked,
      stat: unasked,
      where: unasked,
      proof: unasked,
    };
  }
}
