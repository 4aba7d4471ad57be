/**
 * Tells what was turned away: one line in the log and one in the security log for each sender and
 * limit, naming the setting behind it. A flood of refusals does not become a flood of lines.
 * Refusing itself is done elsewhere.
 */
import { AegisError } from '../errors.ts';
import type { Clock, Log, Metrics, Security } from '../ports.ts';
import { SECOND } from '../units.ts';
import { ONION_CLASS } from './addresses.ts';
import { Floods } from './floods.ts';
import { type Knob, SETTING_OF } from './limits.ts';
import { Bucket } from './rates.ts';

/** A member by its node id, or whoever has none yet by the address. */
export type Sender = { readonly nodeId: string } | { readonly address: string };

const HELLO = 'wrong hellos';
const QUIET_MS = 10 * SECOND;
const MAX_REMEMBERED = 1024;
/** Of all senders together: they may come from thousands of addresses. */
const LINES = { perSecond: 2, burst: 20 };

/** For tests and tools that keep no security log. */
export const NO_SECURITY: Security = { tell: () => undefined, nameOf: () => 'addr-unnamed' };

export interface RefusalDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly security: Security;
}

export class Refusals {
  readonly #deps: RefusalDeps;
  readonly #quiet = new Map<string, { until: number; unsaid: number }>();
  readonly #lines: Bucket;
  readonly #floods: Floods;
  #unsaid = 0;
  /** Whose refusal made a flood of those before. */
  #last: Sender | undefined;

  constructor(deps: RefusalDeps) {
    const { log, clock, security } = deps;
    this.#deps = deps;
    this.#lines = new Bucket(LINES, deps);
    this.#floods = new Floods({
      clock,
      began: (knob) => {
        log.write('warn', 'a flood began', { ...named(knob), ...changeOf(knob) });
        security.tell({ type: 'flood-began', ...named(knob), ...this.#last });
      },
      ended(knob, { refused, durationMs }) {
        log.write('warn', 'a flood ended', { ...named(knob), refused, durationMs });
        security.tell({ type: 'flood-ended', ...named(knob), count: refused, durationMs });
      },
    });
  }

  /** @param knob what to raise, if that is wanted. */
  tell(sender: Sender, knob: Knob, reason: string): void {
    const setting = SETTING_OF[knob];
    this.#last = sender;
    this.#floods.count(setting);
    this.#tell(sender, setting, (repeated) => {
      const { log, security } = this.#deps;
      const fields = { ...this.#named(sender), knob: setting, ...changeOf(setting), repeated };
      log.write('warn', reason, fields);
      security.tell({ type: 'limit-reached', ...sender, knob: setting, count: repeated + 1 });
    });
  }

  /** A handshake that ended otherwise than in a connection. */
  hello(sender: Sender, reason: string): void {
    this.#last = sender;
    this.#floods.count(HELLO);
    this.#tell(sender, HELLO, (repeated) => {
      const { log, security } = this.#deps;
      log.write('warn', 'refused a hello', { ...this.#named(sender), reason, repeated });
      security.tell({ type: 'hello-refused', ...sender, reason, count: repeated + 1 });
    });
  }

  /** For the end of the host. */
  stop(): void {
    this.#floods.stop();
  }

  #tell(sender: Sender, what: string, write: (repeated: number) => void): void {
    const { metrics, clock } = this.#deps;
    metrics.count('aegis_network_refusals_total');
    const now = clock.now();
    const key = `${'nodeId' in sender ? sender.nodeId : sender.address} ${what}`;
    const last = this.#quiet.get(key);
    if (last !== undefined && now < last.until) {
      last.unsaid += 1;
      return;
    }
    if (!this.#lines.take()) {
      this.#unsaid += 1;
      return;
    }
    // The oldest is forgotten first: a Map keeps the order of insertion.
    this.#quiet.delete(key);
    if (this.#quiet.size >= MAX_REMEMBERED) {
      const oldest = this.#quiet.keys().next();
      if (oldest.done !== true) this.#quiet.delete(oldest.value);
    }
    this.#quiet.set(key, { until: now + QUIET_MS, unsaid: 0 });
    write((last?.unsaid ?? 0) + this.#unsaid);
    this.#unsaid = 0;
  }

  /** Addresses are private: the log is passed on when somebody asks for help. */
  #named(sender: Sender): { peer: string } {
    if ('nodeId' in sender) return { peer: sender.nodeId };
    // O20: no address, and nobody's.
    if (sender.address === ONION_CLASS) return { peer: ONION_CLASS };
    return { peer: this.#deps.security.nameOf(sender.address) };
  }
}

/** A limit by its setting; wrong hellos have none. */
const named = (what: string): { knob: string } | { reason: string } =>
  what.startsWith('limits.') ? { knob: what } : { reason: what };

/** How an operator changes the limit behind a refusal. */
const changeOf = (setting: string): { change?: string } =>
  setting.startsWith('limits.') ? { change: `aegis config set ${setting} NUMBER` } : {};

/** What whoever asked too much is told. */
export function busyBy(knob: Knob, message: string): AegisError {
  const setting = SETTING_OF[knob];
  return new AegisError('BUSY', `${message} (${setting})`, {
    hint: `Ask less at once, or raise the setting ${setting} of the node that refused.`,
    details: { knob: setting },
  });
}
