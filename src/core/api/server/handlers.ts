/** What each JSON endpoint asks of the backend. One line each: no endpoint has logic here. */
import { AegisError } from '../../errors.ts';
import type { Backend, CallContext, WaitFor } from '../backend.ts';
import type { Body, Query, Result } from '../contract/endpoints.ts';
import type { RouteName } from '../contract/routes.ts';

export interface JsonCall<N extends RouteName> {
  readonly backend: Backend;
  readonly id: string;
  readonly query: Query<N>;
  readonly body: Body<N>;
  readonly context: CallContext;
}

type JsonName = Exclude<
  RouteName,
  'kb.put' | 'kb.get' | 'events' | 'node.metrics' | 'failures.show'
>;
type Handlers = { readonly [N in JsonName]: (call: JsonCall<N>) => Promise<Result<N>> };

export const HANDLERS: Handlers = {
  'node.status': ({ backend }) => backend.status(),
  'node.info': ({ backend }) => backend.info(),
  'node.wait': waitFor,
  'node.stop': stop,
  'peers.list': ({ backend }) => backend.peers(),
  'peers.show': ({ backend, id }) => backend.peer(id),
  'peers.add': ({ backend, body, context }) => backend.addPeer(body, context),
  'peers.remove': ({ backend, id, context }) => backend.removePeer(id, context),
  'peers.ping': ({ backend, id, body, context }) => backend.pingPeer(id, body, context),
  'peers.find': ({ backend, id, query, context }) => backend.findPeer(id, query, context),
  'peers.why': ({ backend, id }) => backend.whyPeer(id),
  'kb.ls': ({ backend, query }) => backend.list(query),
  'kb.log': ({ backend, query }) => backend.log(query),
  'kb.stat': ({ backend, query }) => backend.stat(query),
  'kb.where': where,
};

async function waitFor(call: JsonCall<'node.wait'>): Promise<Result<'node.wait'>> {
  const { query, backend, context } = call;
  const count = /^peers=(\d+)$/.exec(query.for)?.[1];
  const wanted: WaitFor = {
    condition: count === undefined ? 'ready' : 'peers',
    peers: Number(count ?? 0),
    timeoutMs: query.timeoutMs,
  };
  const begun = performance.now();
  await backend.wait(wanted, context);
  return { for: query.for, waitedMs: Math.round(performance.now() - begun) };
}

async function stop({ backend }: JsonCall<'node.stop'>): Promise<Result<'node.stop'>> {
  const { pid } = await backend.status();
  backend.stop();
  return { stopping: true, pid };
}

function where({ backend, query }: JsonCall<'kb.where'>): Promise<Result<'kb.where'>> {
  if ((query.path === undefined) === (query.cid === undefined)) {
    throw new AegisError('BAD_REQUEST', 'give either path or cid');
  }
  return backend.where(query);
}
