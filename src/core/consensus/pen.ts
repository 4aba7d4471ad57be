/**
 * The only place that signs, and the memory of what was signed. A replica signs at most one digest
 * a phase, height and view, one proposal and one timeout (P6); what it signed is durable before it
 * is shown (D1), and a restart goes on from it (D2), since the key of a height never changes (C5).
 * What the holder of the key refuses to sign is not kept; but in its view nothing else is asked for
 * in its place, since the holder may have signed it and its answer been lost (C4).
 */
import { assert } from '../assert.ts';
import type { Setting } from './setting.ts';
import { digestMessage, shareMessage } from './signed-bytes.ts';
import type { Phase, Share, SlotKind } from './types.ts';

/** What was signed in the current view. */
export interface Slot {
  readonly height: number;
  readonly view: number;
  readonly proposal: { readonly digest: string; readonly signature: Uint8Array } | undefined;
  readonly shares: Readonly<Partial<Record<SlotKind, Share>>>;
}

/** Written literally: within a view a replica signs in this order only. */
const RANK: Readonly<Record<SlotKind, number>> = { prepare: 0, commit: 1, timeout: 2 };

interface Place {
  readonly kind: SlotKind;
  readonly height: number;
  readonly view: number;
}

/** Negative when `a` was signed before `b` by whoever follows the rules. */
export const comparePlaces = (a: Place, b: Place): number =>
  a.height - b.height || a.view - b.view || RANK[a.kind] - RANK[b.kind];

export class Pen {
  readonly #setting: Setting;
  #slot: Slot;
  #last: Share | undefined;
  #absolved: number;
  #isChanged = false;
  /** C4: what was asked for in vain in this view. */
  readonly #asked = new Map<SlotKind | 'proposal', string>();

  /** @param absolved the height up to which a doubt has been overcome. */
  constructor(setting: Setting, slot: Slot, last: Share | undefined, absolved: number) {
    this.#setting = setting;
    this.#slot = slot;
    this.#last = last;
    this.#absolved = absolved;
  }

  get slot(): Slot {
    return this.#slot;
  }

  /** Up to here it does not matter what this node has forgotten (D4). */
  get absolved(): number {
    return this.#absolved;
  }

  /** The last share that was signed, of whatever height. */
  get last(): Share | undefined {
    return this.#last;
  }

  share(kind: SlotKind): Share | undefined {
    return this.#slot.shares[kind];
  }

  /** The shares of the current view, in the order in which they were signed. */
  get shares(): readonly Share[] {
    const { prepare, commit, timeout } = this.#slot.shares;
    return [prepare, commit, timeout].filter((share) => share !== undefined);
  }

  /** C4: whether this was asked for in vain in this view. */
  hasAsked(kind: SlotKind | 'proposal'): boolean {
    return this.#asked.has(kind);
  }

  /** The digest that was proposed in this view, or was to be (C4). */
  get proposed(): string | undefined {
    return this.#slot.proposal?.digest ?? this.#asked.get('proposal');
  }

  /** Whether the slot has changed since it was last asked: it must become durable. */
  takeChange(): boolean {
    const isChanged = this.#isChanged;
    this.#isChanged = false;
    return isChanged;
  }

  /** Turns to another view; what was signed in the one before cannot be signed again. */
  turnTo(height: number, view: number): void {
    const { slot } = this;
    const isLater = height > slot.height || (height === slot.height && view > slot.view);
    assert(isLater, 'heights and views only grow');
    this.#slot = { height, view, proposal: undefined, shares: {} };
    this.#asked.clear();
    // The first view of a height follows from the block before, which is durable by itself.
    if (view > 0) this.#isChanged = true;
  }

  /** Own share for a digest in the current view; undefined: refused. */
  vote(phase: Phase, digest: string): Share | undefined {
    return this.#sign(phase, digest, undefined);
  }

  /**
   * Own timeout of the current view, naming the view of a prepare certificate or none; undefined:
   * refused.
   */
  giveUp(highView: number | undefined): Share | undefined {
    return this.#sign('timeout', undefined, highView);
  }

  /** Own signature of a proposal in the current view; undefined: refused. */
  propose(digest: string): Uint8Array | undefined {
    const { height, view, proposal } = this.#slot;
    // P6: asked again, the same bytes again; another digest would be evidence against us.
    assert(proposal === undefined || proposal.digest === digest, 'one proposal a view');
    if (proposal !== undefined) return proposal.signature;
    const { clusterId, scheme } = this.#setting;
    if (!this.#mayAsk('proposal', digest)) return undefined;
    const message = digestMessage(clusterId, 'proposal', height, view, digest);
    const signature = scheme.signProposal(height, message);
    if (signature === undefined) return undefined;
    this.#asked.delete('proposal');
    this.#slot = { ...this.#slot, proposal: { digest, signature } };
    this.#isChanged = true;
    return signature;
  }

  /** D4: nothing is signed any more where this node may have forgotten what it signed. */
  absolve(height: number): void {
    this.#absolved = height;
  }

  /** What this node knows of a share that bears its signature. */
  recognise(share: Omit<Share, 'signature'>): 'own' | 'past' | 'forgotten' | 'forged' {
    if (this.#last === undefined || comparePlaces(share, this.#last) > 0) {
      return share.height <= this.#absolved ? 'past' : 'forgotten';
    }
    if (share.height !== this.#slot.height || share.view !== this.#slot.view) return 'past';
    const own = this.#slot.shares[share.kind];
    const isSame = own?.digest === share.digest && own?.highView === share.highView;
    return own !== undefined && isSame ? 'own' : 'forged';
  }

  /** C4: nothing else than before; it stays asked for until it is signed. */
  #mayAsk(kind: SlotKind | 'proposal', what: string): boolean {
    const before = this.#asked.get(kind) ?? what;
    this.#asked.set(kind, before);
    return before === what;
  }

  #sign(
    kind: SlotKind,
    digest: string | undefined,
    highView: number | undefined,
  ): Share | undefined {
    const { height, view, shares } = this.#slot;
    const before = shares[kind];
    if (before !== undefined) {
      // P6: asked again, the same bytes again.
      assert(before.digest === digest, 'one digest a phase, height and view');
      return before;
    }
    const place = { kind, height, view };
    const isNext = this.#last === undefined || comparePlaces(place, this.#last) > 0;
    assert(isNext, 'nothing is signed before what was signed last');
    if (!this.#mayAsk(kind, digest ?? `${highView}`)) return undefined;
    const unsigned = { ...place, digest, highView };
    const message = shareMessage(this.#setting.clusterId, unsigned);
    const signature = this.#setting.scheme.sign(height, message);
    if (signature === undefined) return undefined;
    this.#asked.delete(kind);
    const share = { ...unsigned, signature };
    this.#slot = { ...this.#slot, shares: { ...shares, [kind]: share } };
    this.#last = share;
    this.#isChanged = true;
    return share;
  }
}
