/** What each JSON endpoint asks of the backend. One line each: no endpoint has logic here. */
import { AegisError } from '../../errors.ts';
import type { Backend, CallContext, WaitFor } from '../backend.ts';
import type { Body, Query, Result } from '../contract/endpoints.ts';
import { HEIGHT, type RouteName } from '../contract/routes.ts';
import { verdictOf } from './verdict.ts';
import { whyOf } from './why.ts';

export interface JsonCall<N extends RouteName> {
  readonly backend: Backend;
  readonly id: string;
  readonly query: Query<N>;
  readonly body: Body<N>;
  readonly context: CallContext;
}

type JsonName = Exclude<
  RouteName,
  'kb.put' | 'kb.each' | 'kb.get' | 'kb.watch' | 'events' | 'node.metrics' | 'failures.show'
>;
type Handlers = { readonly [N in JsonName]: (call: JsonCall<N>) => Promise<Result<N>> };

export const HANDLERS: Handlers = {
  'node.status': ({ backend }) => backend.status(),
  'node.info': ({ backend }) => backend.info(),
  'node.wait': waitFor,
  'node.stop': stop,
  'node.backup': ({ backend, body, context }) => backend.backup(body, context),
  'peers.list': ({ backend }) => backend.peers(),
  'peers.show': ({ backend, id }) => backend.peer(id),
  'peers.add': ({ backend, body, context }) => backend.addPeer(body, context),
  'peers.remove': ({ backend, id, context }) => backend.removePeer(id, context),
  'peers.ping': ({ backend, id, body, context }) => backend.pingPeer(id, body, context),
  'peers.find': ({ backend, id, query, context }) => backend.findPeer(id, query, context),
  'peers.why': ({ backend, id }) => backend.whyPeer(id),
  'peers.audit': ({ backend, id, body, context }) => backend.auditPeer(id, body, context),
  'peers.isolate': ({ backend, body, context }) => backend.isolatePeers(body, context),
  'peers.ban': ({ backend, id, context }) => backend.banPeer(id, context),
  'peers.unban': ({ backend, id, context }) => backend.unbanPeer(id, context),
  'keys.status': ({ backend }) => backend.keys(),
  'keys.seal': ({ backend, context }) => backend.sealVersions(context),
  'keys.adopt': ({ backend, query, context }) => backend.adoptKeys(query, context),
  'keys.session': ({ backend, context }) => backend.rotateSession(context),
  'keys.history': ({ backend, id }) => backend.keyHistory(id),
  'cluster.members': ({ backend, query }) => backend.members(query),
  'cluster.invite': ({ backend, body, context }) => backend.invite(body, context),
  'cluster.leave': ({ backend, body, context }) => backend.leave(body, context),
  'cluster.propose': ({ backend, body, context }) => backend.propose(body, context),
  'cluster.approve': ({ backend, id, body, context }) => backend.approve(id, body, context),
  'cluster.proposals': ({ backend, query }) => backend.proposals(query),
  'cluster.state': ({ backend }) => backend.clusterState(),
  'cluster.quotas': ({ backend, query }) => backend.quotas(query),
  'consensus.status': consensusStatus,
  'consensus.blocks': ({ backend, query }) => backend.blocks(query),
  'consensus.block': ({ backend, id }) => backend.block(heightOf(id)),
  'consensus.validators': ({ backend }) => backend.validators(),
  'consensus.explain': explain,
  'consensus.evidence': ({ backend }) => backend.evidence(),
  'chain.prune': ({ backend, body, context }) => backend.pruneChain(body, context),
  'intents.submit': ({ backend, body, context }) => backend.submitIntents(body, context),
  'intents.list': ({ backend, query }) => backend.intents(query),
  'intents.show': ({ backend, id }) => backend.intent(intentId(id)),
  'intents.cancel': ({ backend, id, query, context }) =>
    backend.cancelIntent(intentId(id), query, context),
  'intents.anchor': ({ backend, body, context }) => backend.anchor(body, context),
  'intents.anchors': ({ backend, query }) => backend.anchors(query),
  'intents.relay': ({ backend, body, context }) => backend.relayIntents(body, context),
  'kb.rights': ({ backend, query }) => backend.rights(query),
  'kb.grant': ({ backend, body, context }) => backend.grant(body, context),
  'kb.revoke': ({ backend, body, context }) => backend.revoke(body, context),
  'kb.erase': ({ backend, body, context }) => backend.erase(body, context),
  'kb.revert': ({ backend, body, context }) => backend.versions.revert(body, context),
  'kb.rm': ({ backend, body, context }) => backend.versions.remove(body, context),
  'kb.diff': ({ backend, query, context }) => backend.versions.diff(query, context),
  'kb.conflicts': ({ backend, query }) => backend.merges.conflicts(query),
  'kb.resolve': ({ backend, body, context }) => backend.merges.resolve(body, context),
  'kb.find': ({ backend, query, context }) => backend.search.find(query, context),
  'kb.ls': ({ backend, query }) => backend.list(query),
  'kb.log': ({ backend, query }) => backend.log(query),
  'kb.stat': ({ backend, query }) => backend.stat(query),
  'kb.where': where,
  'kb.status': ({ backend, query }) => backend.copies.status(query),
  'kb.repair': ({ backend, body, context }) => backend.copies.repair(body, context),
  'kb.scrub': ({ backend, body }) => backend.copies.scrub(body),
  'node.drain': ({ backend, body, context }) => backend.copies.drain(body, context),
  'kb.gc': ({ backend, body, context }) => backend.space.gc(body, context),
  'kb.space': ({ backend }) => backend.space.space(),
  'kb.pin': ({ backend, body, context }) => backend.space.pin(body, context),
  'kb.unpin': ({ backend, body }) => backend.space.unpin(body),
  'kb.pins': ({ backend, query }) => backend.space.pins(query),
  'kb.proof': ({ backend, query, context }) => backend.proof(query, context),
  'tor.status': ({ backend }) => backend.tor.status(),
  'tor.route': ({ backend, body, context }) => backend.tor.route(body, context),
  'tor.check': ({ backend, body, context }) => backend.tor.check(body, context),
  'tor.circuits': ({ backend, query, context }) => backend.tor.circuits(query, context),
  'tor.newnym': ({ backend, body, context }) => backend.tor.newnym(body, context),
  'tor.onion': ({ backend }) => backend.tor.onion(),
  'tor.renew': ({ backend, body, context }) => backend.tor.renew(body, context),
};

async function waitFor(call: JsonCall<'node.wait'>): Promise<Result<'node.wait'>> {
  const { query, backend, context } = call;
  const [name, number = '0'] = query.for.split('=');
  const wanted: WaitFor = {
    condition: name as WaitFor['condition'],
    peers: name === 'peers' ? Number(number) : 0,
    height: name === 'height' ? Number(number) : 0,
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

async function consensusStatus({
  backend,
}: JsonCall<'consensus.status'>): Promise<Result<'consensus.status'>> {
  const status = await backend.consensus();
  return { ...status, why: whyOf(status, Date.now()) };
}

async function explain(call: JsonCall<'consensus.explain'>): Promise<Result<'consensus.explain'>> {
  const explanation = await call.backend.explainBlock(heightOf(call.id));
  return { ...explanation, verdict: verdictOf(explanation) };
}

function heightOf(text: string): number {
  if (HEIGHT.test(text)) return Number(text);
  throw new AegisError('BAD_REQUEST', `not a height: ${JSON.stringify(text)}`);
}

function intentId(text: string): string {
  if (/^[0-9a-f]{8,64}$/.test(text)) return text;
  throw new AegisError('BAD_REQUEST', `not the id of an intent: ${JSON.stringify(text)}`, {
    hint: 'It has 64 hexadecimal digits; the first 8 are enough for one that this node knows.',
  });
}

function where({ backend, query }: JsonCall<'kb.where'>): Promise<Result<'kb.where'>> {
  if ((query.path === undefined) === (query.cid === undefined)) {
    throw new AegisError('BAD_REQUEST', 'give either path or cid');
  }
  return backend.where(query);
}
