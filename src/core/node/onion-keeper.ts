/**
 * Keeps the onion services of this node as the chain wants them: which keys of its own have one
 * (docs/tor.md, O18), who may find them (O13 to O16), and who is cut off (O17). It speaks to no Tor
 * itself and lets nobody in: hello does.
 */
import { hex } from '../bytes.ts';
import { nextEpochChange } from '../crypto/client-key.ts';
import { type OnionKey, parseOnionAddress } from '../crypto/onion.ts';
import { AegisError, hasCode, toAegisError } from '../errors.ts';
import { Buckets, type Rate } from '../network/rates.ts';
import type { Clock, Log } from '../ports.ts';
import type { OnionClients } from '../tor/onion/service.ts';
import type { OnionServices } from '../tor/onion/services.ts';
import { type Instant, MINUTE, SECOND } from '../units.ts';
import type { ClientKeys, LetIn, OnionClient } from './client-keys.ts';

export interface OwnOnionKeys {
  /** Of the key in force. */
  address(): string;
  /** Undefined when the home lacks it (K3). */
  current(): OnionKey | undefined;
  /** O18: that of before, while its grace lasts. */
  retired(): { readonly key: OnionKey; readonly until: number } | undefined;
}

export interface OnionKeeperDeps {
  readonly own: OwnOnionKeys;
  readonly clients: ClientKeys;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the node was a member and is none now. */
  hasLeft(nodeId: string): boolean;
}

/** M3: one that has left may hear from the block that it has, before everybody is cut for it. */
const FAREWELL_MS = 2 * SECOND;
/** Who comes waits for others that come: each time the service is away for a second. */
const GATHER_MS = 250;
const SPACING_MS = 3 * SECOND;
/**
 * Of one member, which can change its keys as often as it likes: each change takes the service
 * away, and the end of a key cuts everybody.
 */
const CHANGES: Rate = { perSecond: 1 / (30 * 60), burst: 4 };
const HELD_MS = MINUTE;
/** What Tor would not do is tried again. */
const RETRY_MS = MINUTE;

type Services = Pick<OnionServices, 'current' | 'use' | 'keep' | 'end' | 'renew'>;

/** By a mark of who and how. */
type Marks = ReadonlyMap<string, LetIn | undefined>;

export class OnionKeeper {
  readonly #isOpen: boolean;
  readonly #deps: OnionKeeperDeps;
  #services: Services | undefined;
  /** Who could find the services when they were made last. */
  #published: Marks | undefined;
  #farewellUntil: number | undefined;
  /** When it is made anew next, and when it was last. */
  #renewAt: number | undefined;
  #renewedAt = 0;
  /** By node id. */
  readonly #changes: Buckets;
  #heldUntil: number | undefined;
  #complaint: string | undefined;
  #cancel: (() => void) | undefined;

  /** @param options.isOpen O15: the descriptor is for everybody. */
  constructor(options: { readonly isOpen: boolean }, deps: OnionKeeperDeps) {
    this.#isOpen = options.isOpen;
    this.#deps = deps;
    this.#changes = new Buckets({ rate: CHANGES }, deps);
  }

  /** What a service asks for its key. */
  clientsOf(key: OnionKey): OnionClients {
    if (this.#isOpen) return 'open';
    return this.#deps.clients.clientsOf(key).flatMap(({ keys }) => keys);
  }

  /** Whom the current service lets in, for people; nobody while it is open. */
  clients(): readonly OnionClient[] {
    if (this.#isOpen) return [];
    const key = this.#deps.own.current();
    if (key === undefined) return [];
    const clients = this.#deps.clients.clientsOf(key);
    key.expandedSecret.fill(0);
    return clients;
  }

  /** Publishes what this node has, as soon as Tor takes it. */
  open(services: Services): void {
    this.#services = services;
    this.#published = undefined;
    this.look();
  }

  close(): void {
    this.#services = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Something may have changed: members, keys, bans, invitations, time. */
  look(): void {
    const services = this.#services;
    if (services === undefined) return;
    const marks = this.#marks();
    const before = this.#published;
    if (services.current?.address !== this.#deps.own.address()) {
      this.#published = marks;
      this.#useOwn(services).catch((error: unknown) => this.#failed(error, undefined));
    } else if (before === undefined) this.#published = marks;
    else if (!isSame(before, marks)) this.#follow(services, before, this.#patient(before, marks));
    this.#arm();
  }

  /** O17: at the operator's wish. Resolves when the service can be found again. */
  async renew({ cut }: { readonly cut: boolean }): Promise<void> {
    this.#published = this.#marks();
    await this.#services?.renew({ cut });
  }

  /** O17: at once, and everybody is cut where somebody is let in no more. */
  #follow(services: Services, before: Marks, marks: Marks): void {
    if (isSame(before, marks)) return;
    const now = this.#deps.clock.now();
    const gone = [...before].filter(([mark]) => !marks.has(mark)).map(([, one]) => one);
    const revoked = gone.filter((one) => one !== undefined && isRevoked(one, now));
    const isFarewell =
      revoked.length > 0 && revoked.every((one) => this.#deps.hasLeft(one?.id ?? ''));
    if (isFarewell) {
      this.#farewellUntil ??= now + FAREWELL_MS;
      if (now < this.#farewellUntil) return;
    }
    this.#farewellUntil = undefined;
    const cut = revoked.length > 0;
    this.#renewAt ??= Math.max(now + GATHER_MS, this.#renewedAt + SPACING_MS);
    if (!cut && now < this.#renewAt) return;
    this.#renewAt = undefined;
    this.#renewedAt = now;
    this.#deps.log.write('info', 'the onion service is made anew', { cut, clients: marks.size });
    this.#published = marks;
    for (const id of changersOf(before, marks)) this.#changes.of(id).take();
    services.renew({ cut }).catch((error: unknown) => {
      // O15: those who are let in no more have gone even so.
      const isFull = hasCode(error, 'ONION_CLIENTS_FULL');
      const stays = isFull ? [...before].filter(([mark]) => marks.has(mark)) : before;
      this.#failed(error, new Map(stays));
    });
  }

  /**
   * Without the changes of members that have changed their keys too often; these follow later, or
   * with what makes the service anew for another reason. Whoever is let in no more at all is gone
   * at once.
   */
  #patient(before: Marks, marks: Marks): Marks {
    const held = changersOf(before, marks).filter((id) => this.#changes.of(id).level < 1);
    this.#heldUntil = held.length === 0 ? undefined : this.#deps.clock.now() + HELD_MS;
    if (held.length === 0) return marks;
    const isHeld = ([, one]: [string, LetIn | undefined]): boolean =>
      one?.kind === 'member' && held.includes(one.id);
    return new Map([
      ...[...marks].filter((mark) => !isHeld(mark)),
      ...[...before].filter((mark) => isHeld(mark)),
    ]);
  }

  /** O18: a service for the key in force. */
  async #useOwn(services: Services): Promise<void> {
    const { own, clock, log } = this.#deps;
    const current = own.current();
    const retired = own.retired();
    const graceMs = retired === undefined ? 0 : Math.max(0, retired.until - clock.now());
    if (current === undefined) {
      // K3: another home has its key; what is left here is the one before, if it has a grace.
      const { address } = services.current ?? {};
      if (address !== undefined) await services.end(parseOnionAddress(address));
      const kept = retired === undefined ? undefined : services.keep(retired.key, { graceMs });
      retired?.key.expandedSecret.fill(0);
      await kept;
      throw new AegisError('KEYS_RETIRED', 'the onion key in force is not in this home', {
        hint: 'Replace it: aegis keys revoke --onion',
      });
    }
    log.write('info', 'the onion service of this node', { address: current.address, graceMs });
    // Where it runs already, it stays for the grace as the one before.
    const isFirst = services.current === undefined;
    const used = services.use(current, { graceMs });
    const isKept = isFirst && retired !== undefined;
    const kept = isKept ? services.keep(retired.key, { graceMs }) : undefined;
    // They have copies of their own.
    current.expandedSecret.fill(0);
    retired?.key.expandedSecret.fill(0);
    await Promise.all([used, kept]);
  }

  #failed(error: unknown, before: Marks | undefined): void {
    const { code, message: reason } = toAegisError(error);
    // It may be so for hours, while two epochs hold (O15).
    const level = reason === this.#complaint ? 'debug' : 'error';
    this.#complaint = reason;
    this.#deps.log.write(level, 'an onion service could not be made anew', { code, reason });
    this.#published = before;
    this.#arm(this.#deps.clock.now() + RETRY_MS);
  }

  #marks(): Marks {
    const { clients } = this.#deps;
    if (this.#isOpen) return new Map();
    const marks = new Map<string, LetIn | undefined>();
    for (const epoch of clients.epochs()) marks.set(`epoch ${epoch}`, undefined);
    for (const one of clients.letIn()) {
      marks.set(`${one.kind} ${one.id} ${hex(one.networkKey ?? new Uint8Array(0))}`, one);
    }
    return marks;
  }

  #arm(at = this.#nextLook()): void {
    this.#cancel?.();
    if (this.#services === undefined) return;
    this.#cancel = this.#deps.clock.wakeAt(at as Instant, () => this.look());
  }

  #nextLook(): number {
    const { clients, clock } = this.#deps;
    const now = clock.now();
    const ends = clients.letIn().map(({ until }) => until);
    const all = [
      nextEpochChange(now),
      ...ends,
      this.#heldUntil,
      this.#farewellUntil,
      this.#renewAt,
    ];
    return Math.min(...all.filter((at): at is number => at !== undefined && at > now));
  }
}

/** What would not have ended by itself. */
const isRevoked = ({ kind, until }: LetIn, now: number): boolean =>
  kind === 'member' && (until === undefined || until > now);

/** Members that were let in, and are, with other keys: nobody but they can have changed those. */
function changersOf(before: Marks, marks: Marks): readonly string[] {
  const idsOf = (some: Iterable<LetIn | undefined>): Set<string> =>
    new Set([...some].flatMap((one) => (one?.kind === 'member' ? [one.id] : [])));
  const changed = [
    ...[...before].filter(([mark]) => !marks.has(mark)),
    ...[...marks].filter(([mark]) => !before.has(mark)),
  ].map(([, one]) => one);
  const [then, now] = [idsOf(before.values()), idsOf(marks.values())];
  return [...idsOf(changed)].filter((id) => then.has(id) && now.has(id));
}

const isSame = (a: Marks, b: Marks): boolean =>
  a.size === b.size && [...a.keys()].every((mark) => b.has(mark));
