/**
 * How far Tor is on the way to its network, what it waits for, and how long it may take. It wakes a
 * Tor that sleeps; it starts none and ends none.
 */
import { AegisError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import { SECOND } from '../../units.ts';
import type { ControlEvent } from './client.ts';
import { signal } from './commands.ts';
import type { TorLink } from './link.ts';
import { pairsOf, shown } from './text.ts';

export interface BootstrapStatus {
  /** 0 to 100. */
  readonly percent: number;
  /** Such as `conn_done`; `down` without a connection to Tor. */
  readonly tag: string;
  readonly summary: string;
  /** What Tor complains of, in its words. */
  readonly warning?: string;
  /** In one word, e.g. `CONNECTREFUSED`, `CLOCK_SKEW`. */
  readonly reason?: string;
  /** Circuits can be built. */
  readonly isReady: boolean;
  /** When this Tor was first seen on its way. */
  readonly startedAt: number;
  /** Undefined while nothing can be said: no progress yet, or none any more. */
  readonly leftMs?: number;
}

type Fields = Omit<BootstrapStatus, 'leftMs'>;

/** After so long without progress no end is foreseen. */
const STANDSTILL_MS = 20 * SECOND;
const KEYS = ['status/bootstrap-phase', 'status/circuit-established'] as const;

export class Bootstrap {
  readonly #clock: Clock;
  readonly #listeners = new Set<(status: BootstrapStatus) => void>();
  #fields: Fields;
  /** Where it was first seen, and when it last went on. */
  #first: { readonly percent: number; readonly at: number };
  #progressAt: number;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
    const at = clock.now();
    this.#fields = down(at);
    this.#first = { percent: 0, at };
    this.#progressAt = at;
  }

  get status(): BootstrapStatus {
    const leftMs = this.#leftMs();
    return leftMs === undefined ? this.#fields : { ...this.#fields, leftMs };
  }

  /** Hears each change, though not that time passes. */
  onChange(listener: (status: BootstrapStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Follows the link; returns what ends that. */
  start(link: TorLink): () => void {
    const ends = [
      link.on('STATUS_CLIENT', (event) => this.#onStatus(event)),
      link.on('STATUS_GENERAL', (event) => this.#onStatus(event)),
      link.onState((state) => {
        if (state === 'down' || state === 'stopped') this.#begin(down(this.#clock.now()));
      }),
      link.restore('bootstrap', async () => {
        // A Tor that nobody has used for a day sleeps until somebody dials, and we dial only when
        // it has circuits. Whether it sleeps it does not tell: `dormant` is always 0 (0.4.9).
        await signal(link, 'ACTIVE');
        const info = await link.getInfo(...KEYS);
        const isReady = info[KEYS[1]] === '1';
        const phase = phaseOf(info[KEYS[0]]!);
        const at = this.#clock.now();
        // Another Tor, or the same one after a while: what was measured before says nothing.
        this.#begin({ ...down(at), ...phase, isReady });
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** `TOR_NOT_READY` with how far it is, and what it waits for. */
  notReady(): AegisError {
    const { percent, summary, warning, tag } = this.#fields;
    if (tag === DOWN_TAG) {
      return new AegisError('TOR_UNREACHABLE', 'there is no connection to the control port of Tor');
    }
    const why = warning === undefined ? summary : `${summary}; ${warning}`;
    const message = `Tor is not connected to its network yet (${percent} %: ${why})`;
    const details = { percent, tag };
    if (warning === undefined) return new AegisError('TOR_NOT_READY', message, { details });
    const hint = this.#fields.reason === CLOCK_SKEW ? CLOCK_HINT : NETWORK_HINT;
    return new AegisError('TOR_NOT_READY', message, { hint, details });
  }

  #begin(fields: Fields): void {
    const at = this.#clock.now();
    this.#first = { percent: fields.percent, at };
    this.#progressAt = at;
    this.#set(fields);
  }

  #onStatus({ text }: ControlEvent): void {
    const [, action] = text.split(' ');
    if (action === 'BOOTSTRAP') this.#onPhase(text);
    else if (action === 'CIRCUIT_ESTABLISHED') this.#set(quiet(this.#fields, true));
    else if (action === 'CIRCUIT_NOT_ESTABLISHED') this.#onLoss(text);
    else if (action === 'CLOCK_SKEW') this.#onSkew(text);
  }

  #onPhase(text: string): void {
    const phase = phaseOf(text);
    const { percent, startedAt, isReady } = this.#fields;
    if ((phase.percent ?? 0) > percent) this.#progressAt = this.#clock.now();
    // A phase without a warning ends the one of before.
    this.#set({ ...down(startedAt), ...phase, isReady });
  }

  #onLoss(text: string): void {
    const reason = shown(pairsOf(text).get('REASON') ?? 'unknown');
    const warning = `Tor can build no circuits any more (${reason})`;
    this.#set({ ...this.#fields, isReady: false, warning, reason });
  }

  #onSkew(text: string): void {
    const seconds = Number(pairsOf(text).get('SKEW'));
    if (!Number.isFinite(seconds)) return;
    const how = seconds < 0 ? 'behind' : 'ahead';
    const warning = `the clock of this machine is ${Math.abs(seconds)} s ${how}`;
    this.#set({ ...this.#fields, warning, reason: CLOCK_SKEW });
  }

  #set(fields: Fields): void {
    this.#fields = fields;
    for (const listener of this.#listeners) listener(this.status);
  }

  /** As long as it took up to here, for what is left. */
  #leftMs(): number | undefined {
    const { percent, isReady } = this.#fields;
    if (isReady) return 0;
    const done = percent - this.#first.percent;
    const now = this.#clock.now();
    if (done <= 0 || percent >= 100 || now - this.#progressAt > STANDSTILL_MS) return undefined;
    const spentMs = this.#progressAt - this.#first.at;
    const leftMs = (spentMs / done) * (100 - percent) - (now - this.#progressAt);
    // It was to be there by now, so what was measured says nothing any more.
    return leftMs < SECOND ? undefined : Math.round(leftMs);
  }
}

const DOWN_TAG = 'down';
const CLOCK_SKEW = 'CLOCK_SKEW';
const CLOCK_HINT = 'Set the clock of this machine.';
const NETWORK_HINT =
  'Tor goes on trying. See that this machine reaches the Internet; where relays are blocked, ' +
  'a Tor of our own takes bridges (tor.bridges).';

/** Tor's words, where they are one word only. */
const WARNINGS: ReadonlyMap<string, string> = new Map([
  ['DONE', 'what answers closes the connection at once'],
  ['CONNECTREFUSED', 'connections are refused'],
  ['CONNECTRESET', 'connections are reset'],
  ['IDENTITY', 'what answers is another relay'],
  ['TIMEOUT', 'nothing answers'],
  ['NOROUTE', 'there is no route'],
  ['IOERROR', 'connections fail'],
  ['TLS_ERROR', 'TLS fails'],
  ['RESOURCELIMIT', 'this machine has no sockets left'],
  ['PT_MISSING', 'a plugin is missing'],
]);

const down = (startedAt: number): Fields => ({
  ...{ percent: 0, tag: DOWN_TAG, summary: 'no connection to Tor', isReady: false, startedAt },
});

/** Without a warning. */
function quiet({ percent, tag, summary, startedAt }: Fields, isReady: boolean): Fields {
  return { percent, tag, summary, startedAt, isReady };
}

/** `NOTICE BOOTSTRAP PROGRESS=14 TAG=handshake SUMMARY="..." [WARNING="..." REASON=...]`. */
function phaseOf(text: string): Partial<Fields> {
  const pairs = pairsOf(text);
  const progress = Number(pairs.get('PROGRESS'));
  const percent = Number.isFinite(progress) ? Math.min(100, Math.max(0, Math.floor(progress))) : 0;
  const [warning, reason] = [pairs.get('WARNING'), pairs.get('REASON')];
  return {
    percent,
    tag: shown(pairs.get('TAG') ?? 'unknown'),
    summary: shown(pairs.get('SUMMARY') ?? ''),
    ...(warning === undefined ? {} : { warning: WARNINGS.get(warning) ?? shown(warning) }),
    ...(reason === undefined ? {} : { reason: shown(reason) }),
  };
}
