/**
 * The endpoints of the local API as plain data: name, method, path, scope, kind of reply. The
 * schemas are declared next to each topic (`node.ts`, `peers.ts`, `kb.ts`, `events.ts`).
 *
 * This file does not import a schema library: the client needs it at the start of every command.
 */
export type Scope = 'read' | 'admin';
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
/** `json`: one object; `bytes`: a file or a tar; `ndjson`: one object a line; `text`. */
export type ReplyKind = 'json' | 'bytes' | 'ndjson' | 'text';

export interface Route {
  readonly method: Method;
  /** `:name` marks a parameter of one path segment. */
  readonly path: string;
  readonly scope: Scope;
  readonly reply: ReplyKind;
  /** `stream`: the body is not JSON and is handed on as it arrives. */
  readonly body: 'none' | 'json' | 'stream';
  readonly summary: string;
}

const route = (
  method: Method,
  path: string,
  scope: Scope,
  summary: string,
  more: { reply?: ReplyKind; body?: Route['body'] } = {},
): Route => ({
  method,
  path,
  scope,
  summary,
  reply: more.reply ?? 'json',
  body: more.body ?? 'none',
});

/** Keyed by name; the `schema` of a JSON reply is `aegis.<name>/1`. */
export const ROUTES = {
  'node.status': route('GET', '/v1/node', 'read', 'What the node is doing now.'),
  'node.info': route('GET', '/v1/node/info', 'read', 'What does not change while the node runs.'),
  'node.wait': route('GET', '/v1/node/wait', 'read', 'Answers once a condition holds.'),
  'node.stop': route('POST', '/v1/node/stop', 'admin', 'Stops the node gracefully.'),
  'node.backup': route(
    'POST',
    '/v1/node/backup',
    'admin',
    'Copies the home while the node runs; answers when the copy is durable.',
    { body: 'json' },
  ),
  'node.drain': route('POST', '/v1/node/drain', 'admin', 'Has others hold what is here.', {
    body: 'json',
  }),
  'node.metrics': route('GET', '/v1/metrics', 'read', 'Metrics in the Prometheus text format.', {
    reply: 'text',
  }),
  'peers.list': route('GET', '/v1/peers', 'read', 'All known peers.'),
  'peers.show': route('GET', '/v1/peers/:id', 'read', 'One peer.'),
  'peers.add': route('POST', '/v1/peers', 'admin', 'Remembers an address and dials it.', {
    body: 'json',
  }),
  'peers.remove': route('DELETE', '/v1/peers/:id', 'admin', 'Forgets a peer and hangs up.'),
  'peers.ping': route('POST', '/v1/peers/:id/ping', 'read', 'Measures round trips to a peer.', {
    body: 'json',
  }),
  'peers.find': route('GET', '/v1/peers/find/:id', 'read', 'Looks up the addresses of a peer.'),
  'peers.why': route('GET', '/v1/peers/:id/why', 'read', 'Why a peer is or is not connected.'),
  'peers.audit': route(
    'POST',
    '/v1/peers/:id/audit',
    'read',
    'Has a peer verify its chain, and checks what it signs.',
    { body: 'json' },
  ),
  'peers.isolate': route(
    'PUT',
    '/v1/peers/isolated',
    'admin',
    'Cuts this node off from exactly these nodes until it is called again or restarts.',
    { body: 'json' },
  ),
  'peers.ban': route('POST', '/v1/peers/:id/ban', 'admin', 'Treats a member as a stranger.'),
  'peers.unban': route('DELETE', '/v1/peers/:id/ban', 'admin', 'Takes a ban back.'),
  'keys.status': route('GET', '/v1/keys', 'read', 'The keys of this node, and what comes of them.'),
  'keys.seal': route(
    'POST',
    '/v1/keys/seal',
    'admin',
    'Holds new versions back for a moment, and says how many there are.',
  ),
  'keys.adopt': route(
    'POST',
    '/v1/keys/adopt',
    'admin',
    'Takes up the rotation that is prepared in the home; answers when it is final.',
  ),
  'keys.session': route('POST', '/v1/keys/session', 'admin', 'Makes the next session key now.'),
  'keys.history': route('GET', '/v1/keys/history/:id', 'read', 'The succession of a member.'),
  'cluster.members': route('GET', '/v1/cluster/members', 'read', 'Who is a member.'),
  'cluster.invite': route('POST', '/v1/cluster/invite', 'admin', 'Invites one node, once.', {
    body: 'json',
  }),
  'cluster.leave': route('POST', '/v1/cluster/leave', 'admin', 'This agent leaves the cluster.', {
    body: 'json',
  }),
  'cluster.propose': route(
    'POST',
    '/v1/cluster/proposals',
    'admin',
    'This custodian proposes changes of the cluster.',
    { body: 'json' },
  ),
  'cluster.approve': route(
    'POST',
    '/v1/cluster/proposals/:id/approval',
    'admin',
    'This custodian approves a proposal.',
    { body: 'json' },
  ),
  'cluster.proposals': route(
    'GET',
    '/v1/cluster/proposals',
    'read',
    'Proposals, and who has approved them.',
  ),
  'cluster.state': route(
    'GET',
    '/v1/cluster/state',
    'read',
    'By which rules the cluster goes now.',
  ),
  'cluster.quotas': route('GET', '/v1/cluster/quotas', 'read', 'What members have used of theirs.'),
  'consensus.status': route(
    'GET',
    '/v1/consensus',
    'read',
    'What is being agreed on, and why not.',
  ),
  'consensus.blocks': route('GET', '/v1/consensus/blocks', 'read', 'Final blocks, newest first.'),
  'consensus.block': route('GET', '/v1/consensus/blocks/:id', 'read', 'The block at a height.'),
  'consensus.validators': route(
    'GET',
    '/v1/consensus/validators',
    'read',
    'The custodians and how they vote.',
  ),
  'consensus.explain': route(
    'GET',
    '/v1/consensus/blocks/:id/explanation',
    'read',
    'How the block at a height became final.',
  ),
  'consensus.evidence': route(
    'GET',
    '/v1/consensus/evidence',
    'read',
    'Proofs that a custodian broke the rules.',
  ),
  'chain.prune': route('POST', '/v1/chain/prune', 'admin', 'Forgets old blocks.', { body: 'json' }),
  'intents.submit': route('POST', '/v1/intents', 'admin', 'Signs intents and has them decided.', {
    body: 'json',
  }),
  'intents.list': route('GET', '/v1/intents', 'read', 'Pending and recent intents of this node.'),
  'intents.show': route('GET', '/v1/intents/:id', 'read', 'One intent and what became of it.'),
  'intents.anchor': route('POST', '/v1/anchors', 'admin', 'Anchors a hash under a label.', {
    body: 'json',
  }),
  'intents.anchors': route('GET', '/v1/anchors', 'read', 'The anchors of a member.'),
  'intents.relay': route(
    'POST',
    '/v1/intents/signed',
    'admin',
    'Hands in what is signed already.',
    {
      body: 'json',
    },
  ),
  'intents.cancel': route('DELETE', '/v1/intents/:id', 'admin', 'Tries to take an intent back.'),
  'kb.put': route('PUT', '/v1/kb/versions', 'admin', 'Stores a file or a directory.', {
    body: 'stream',
  }),
  'kb.get': route(
    'GET',
    '/v1/kb/content',
    'read',
    'The bytes of a file, or a tar of a directory.',
    {
      reply: 'bytes',
    },
  ),
  'kb.each': route('PUT', '/v1/kb/tree', 'admin', 'Stores each file of a tar as its own path.', {
    body: 'stream',
  }),
  'kb.revert': route('POST', '/v1/kb/reversions', 'admin', 'Writes an earlier content again.', {
    body: 'json',
  }),
  'kb.rm': route('POST', '/v1/kb/deletions', 'admin', 'Deletes a path; its history stays.', {
    body: 'json',
  }),
  'kb.diff': route('GET', '/v1/kb/diff', 'read', 'What two contents differ in.'),
  'kb.conflicts': route(
    'GET',
    '/v1/kb/conflicts',
    'read',
    'Paths that show a merge with conflicts.',
  ),
  'kb.resolve': route('POST', '/v1/kb/resolutions', 'admin', 'Ends the conflicts of a path.', {
    body: 'json',
  }),
  'kb.watch': route('GET', '/v1/kb/watch', 'read', 'Each change that becomes final, one a line.', {
    reply: 'ndjson',
  }),
  'kb.find': route('GET', '/v1/kb/find', 'read', 'Finds paths by words, here and on other nodes.'),
  'kb.ls': route('GET', '/v1/kb/list', 'read', 'Paths of the knowledge base.'),
  'kb.log': route('GET', '/v1/kb/log', 'read', 'Versions of a path, every head among them.'),
  'kb.stat': route('GET', '/v1/kb/stat', 'read', 'Facts of the shown version of a path.'),
  'kb.where': route('GET', '/v1/kb/where', 'read', 'Which nodes hold a root.'),
  'kb.status': route('GET', '/v1/kb/status', 'read', 'Which versions lack copies, and why.'),
  'kb.repair': route('POST', '/v1/kb/repairs', 'admin', 'Repairs a path, or all, at once.', {
    body: 'json',
  }),
  'kb.scrub': route('POST', '/v1/kb/scrubs', 'admin', 'Hashes everything here again.', {
    body: 'json',
  }),
  'kb.gc': route('POST', '/v1/kb/collections', 'admin', 'Deletes what nothing keeps here.', {
    body: 'json',
  }),
  'kb.space': route('GET', '/v1/kb/space', 'read', 'What content takes on this node.'),
  'kb.pin': route('POST', '/v1/kb/pins', 'admin', 'Keeps a whole root on this node.', {
    body: 'json',
  }),
  'kb.unpin': route('POST', '/v1/kb/pins/removals', 'admin', 'Takes a pin back.', {
    body: 'json',
  }),
  'kb.pins': route('GET', '/v1/kb/pins', 'read', 'The pins of this node.'),
  'kb.proof': route(
    'GET',
    '/v1/kb/proof',
    'read',
    'A proof of what a path or a directory held, for who has the genesis.',
  ),
  'kb.rights': route('GET', '/v1/kb/rights', 'read', 'Who may write under a path.'),
  'kb.grant': route('POST', '/v1/kb/rights/grants', 'admin', 'Lets a node write under a path.', {
    body: 'json',
  }),
  'kb.revoke': route('POST', '/v1/kb/rights/revocations', 'admin', 'Takes a right back.', {
    body: 'json',
  }),
  'kb.erase': route('POST', '/v1/kb/erasures', 'admin', 'Takes the name of a deleted path away.', {
    body: 'json',
  }),
  'tor.status': route('GET', '/v1/tor', 'read', 'By which route peers are reached, and Tor.'),
  'tor.route': route('POST', '/v1/tor/route', 'admin', 'Changes the route while the node runs.', {
    body: 'json',
  }),
  'tor.check': route(
    'POST',
    '/v1/tor/check',
    'admin',
    'Looks for leaks in the process itself, or reaches a target through Tor.',
    { body: 'json' },
  ),
  'tor.circuits': route('GET', '/v1/tor/circuits', 'read', 'Circuits, and whom they carry.'),
  'tor.newnym': route('POST', '/v1/tor/newnym', 'admin', 'New circuits for what is dialled.', {
    body: 'json',
  }),
  'tor.onion': route('GET', '/v1/tor/onion', 'read', 'The onion service and whom it lets in.'),
  'tor.renew': route('POST', '/v1/tor/onion/renew', 'admin', 'Makes the onion service anew.', {
    body: 'json',
  }),
  events: route('GET', '/v1/events', 'read', 'A snapshot, then every change, one JSON a line.', {
    reply: 'ndjson',
  }),
  'failures.show': route('GET', '/v1/failures/:id', 'read', 'Why a streamed reply was cut.'),
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;

/** How long a call waits in the daemon unless it says otherwise. */
export const WAIT_MS = {
  nodeWait: 30_000,
  kb: 60_000,
  intents: 60_000,
  ping: 5000,
  find: 10_000,
  audit: 600_000,
  torCheck: 120_000,
} as const;

/** `ready`; a number of connected peers as in `peers=3`; a final height as in `height=12`. */
export const WAIT_FOR: RegExp = /^(?:ready|peers=(?:0|[1-9]\d{0,3})|height=(?:0|[1-9]\d{0,11}))$/;
/** How a height is written in a path. */
export const HEIGHT: RegExp = /^(?:0|[1-9]\d{0,11})$/;

/** Header names that belong to the contract. */
export const HEADER = {
  cid: 'x-aegis-cid',
  version: 'x-aegis-version',
  path: 'x-aegis-path',
  kind: 'x-aegis-kind',
  sizeBytes: 'x-aegis-size-bytes',
  /** `true` or `false`. */
  final: 'x-aegis-final',
  /** Absent where it is not known. */
  height: 'x-aegis-height',
  /** How many conflicts a merge has there (W17). Absent: none. */
  conflicts: 'x-aegis-conflicts',
  request: 'x-aegis-request',
} as const;

/** Media types of bodies. */
export const MEDIA = {
  json: 'application/json',
  file: 'application/octet-stream',
  directory: 'application/x-tar',
  ndjson: 'application/x-ndjson',
  text: 'text/plain; version=0.0.4; charset=utf-8',
} as const;
