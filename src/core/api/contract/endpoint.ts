/** What a topic declares for each of its endpoints, beside the plain data of `routes.ts`. */
import * as v from 'valibot';
import { ROUTES, type Route, type RouteName } from './routes.ts';

export type Entries = v.ObjectEntries;

export interface Endpoint<
  N extends RouteName = RouteName,
  Q extends Entries = Entries,
  B extends Entries = Entries,
  R extends Entries = Entries,
> {
  readonly name: N;
  readonly route: Route;
  /** Unknown parameters are refused, so that a misspelt one is never ignored. */
  readonly query: v.StrictObjectSchema<Q, undefined>;
  readonly body: v.StrictObjectSchema<B, undefined>;
  /** The reply without its `schema` field: what the backend returns. */
  readonly result: v.ObjectSchema<R, undefined>;
  /** The reply as sent. */
  readonly reply: v.ObjectSchema<
    R & { schema: v.LiteralSchema<`aegis.${N}/1`, undefined> },
    undefined
  >;
}

export const schemaName = <N extends RouteName>(name: N): `aegis.${N}/1` => `aegis.${name}/1`;

// biome-ignore lint/complexity/noBannedTypes: the empty declaration is meant.
type None = {};

/** Declares one endpoint. `reply` is left out where the reply is not JSON. */
export function endpoint<
  N extends RouteName,
  Q extends Entries = None,
  B extends Entries = None,
  R extends Entries = None,
>(name: N, parts: { query?: Q; body?: B; reply?: R }): Endpoint<N, Q, B, R> {
  const reply = (parts.reply ?? {}) as R;
  return {
    name,
    route: ROUTES[name],
    query: v.strictObject((parts.query ?? {}) as Q),
    body: v.strictObject((parts.body ?? {}) as B),
    result: v.object(reply),
    reply: v.object({ schema: v.literal(schemaName(name)), ...reply }),
  };
}
