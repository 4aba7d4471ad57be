/**
 * Decides on one request to a signer, and carries it out: form (G1), key, guard (G2), signature.
 * It knows no sockets. Nothing it tells or logs holds a secret, or the content of what is signed.
 */
import { toAegisError } from '../errors.ts';
import type { KeyRing, Log } from '../ports.ts';
import { hex } from './material.ts';
import { type Form, formOf } from './signer-forms.ts';
import {
  decodeEntries,
  encodeDescription,
  type SignerDescription,
  type SignerRefusal,
  type SignerReply,
  type SignerRequest,
} from './signer-frames.ts';
import type { Guards } from './signer-guards.ts';

export interface SignerDeskDeps {
  readonly ring: KeyRing;
  readonly guards: Guards;
  readonly log: Log;
  describe(): SignerDescription;
  /** Takes up what a node shows as final (G3). @throws {AegisError} when it does not follow. */
  follow(entries: readonly Uint8Array[]): Promise<void>;
}

const refused = (refusal: SignerRefusal, why: string): SignerReply => ({
  type: 'refused',
  refusal,
  why,
});

export class SignerDesk {
  readonly #deps: SignerDeskDeps;

  constructor(deps: SignerDeskDeps) {
    this.#deps = deps;
  }

  answer(request: SignerRequest): SignerReply | Promise<SignerReply> {
    if (request.op === 'describe') {
      return { type: 'done', bytes: encodeDescription(this.#deps.describe()) };
    }
    if (request.op === 'follow') return this.#follow(request.payload);
    const form = formOf(request);
    const reply = this.#answer(request, form);
    if (reply.type === 'refused') {
      const place = form !== undefined && 'place' in form ? form.place : {};
      const { refusal, why } = reply;
      this.#deps.log.write('warn', 'nothing was signed', {
        refusal,
        why,
        op: request.op,
        ...place,
      });
    }
    return reply;
  }

  /** Entries carry the authority of the successor (S2); that they are final is the node's word. */
  async #follow(payload: Uint8Array): Promise<SignerReply> {
    try {
      await this.#deps.follow(decodeEntries(payload));
      return { type: 'done', bytes: new Uint8Array() };
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('warn', 'the keys do not follow what a node told', { code, reason });
      return refused('BAD_FORM', 'these entries do not follow');
    }
  }

  #answer(request: SignerRequest, form: Form | undefined): SignerReply {
    const { key, payload } = request;
    const sign = this.#signerFor(request);
    if (sign === undefined) {
      return refused('UNKNOWN_KEY', `the key ${hex(key).slice(0, 16)} is not here for this`);
    }
    if (form === undefined) return refused('BAD_FORM', 'nothing that may be signed has this form');
    try {
      const objection = 'place' in form ? this.#objection(key, form, payload) : undefined;
      if (objection !== undefined) return objection;
      const bytes = sign(payload);
      return bytes === undefined ? refused('LOCKED', 'the key is closed') : { type: 'done', bytes };
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      this.#deps.log.write('error', 'a signature could not be made', { code, reason });
      return refused('LOCKED', 'the signer cannot go on with this key; its log says why');
    }
  }

  #signerFor({
    op,
    key,
  }: SignerRequest): ((message: Uint8Array) => Uint8Array | undefined) | undefined {
    const { ring } = this.#deps;
    const [votes, identity, seeds] = [
      op === 'vote' ? ring.votes(key) : undefined,
      op === 'sign' ? ring.identity(key) : undefined,
      op === 'prove' ? ring.seeds(key) : undefined,
    ];
    if (votes) return (message) => votes.sign(message);
    if (identity) return (message) => identity.sign(message);
    return seeds && ((message) => seeds.prove(message));
  }

  /** G2. Returns when the place is durable. */
  #objection(
    key: Uint8Array,
    { place }: Extract<Form, { place: unknown }>,
    message: Uint8Array,
  ): SignerReply | undefined {
    switch (this.#deps.guards.claim(key, place, message)) {
      case 'new':
      case 'same':
        return undefined;
      case 'double':
        return refused('DOUBLE_SIGN', `signed already at or after height ${place.height}`);
      case 'too-many':
        return refused('LOCKED', 'this key has signed for too many clusters');
      default:
        return refused('LOCKED', 'what this key has signed is not known; see --accept-lost-guard');
    }
  }
}
