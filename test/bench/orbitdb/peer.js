/**
 * One OrbitDB peer, as its README sets one up, for the bench part `orbitdb`. Told what to do by its
 * parent over IPC. LevelDB is made to sync each write, since aegis does: `--no-sync` leaves it as
 * shipped. Plain JavaScript with an install of its own, so that aegis does not carry its thousand
 * packages.
 */

import { noise } from '@chainsafe/libp2p-noise';
import { yamux } from '@chainsafe/libp2p-yamux';
import { bitswap } from '@helia/block-brokers';
import { gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import { tcp } from '@libp2p/tcp';
import { createOrbitDB, KeyValueIndexed } from '@orbitdb/core';
import { LevelBlockstore } from 'blockstore-level';
import { ClassicLevel } from 'classic-level';
import { LevelDatastore } from 'datastore-level';
import { createHelia } from 'helia';
import { createLibp2p } from 'libp2p';

const [dir, mode] = process.argv.slice(2);

if (mode === '--sync') {
  for (const name of ['_put', '_del', '_batch']) {
    const write = ClassicLevel.prototype[name];
    ClassicLevel.prototype[name] = function synced(...args) {
      const options = args.pop();
      return write.call(this, ...args, { ...options, sync: true });
    };
  }
}

const libp2p = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }),
  },
});
const helia = await createHelia({
  libp2p,
  blockstore: new LevelBlockstore(`${dir}/blocks`),
  datastore: new LevelDatastore(`${dir}/data`),
  blockBrokers: [bitswap()],
  routers: [],
});
const orbitdb = await createOrbitDB({ ipfs: helia, directory: `${dir}/orbitdb` });
// With its index on disk: without one the first read of an old key walks the log.
const Database = KeyValueIndexed();
let db;

const actions = {
  async dial({ address }) {
    const { multiaddr } = await import('@multiformats/multiaddr');
    await libp2p.dial(multiaddr(address));
  },
  async create() {
    db = await orbitdb.open('bench', { Database });
    return db.address;
  },
  /** Each entry that has come and is written is told to the parent. */
  async join({ address }) {
    db = await orbitdb.open(address, { Database });
    db.events.on('update', ({ hash }) => process.send({ type: 'has', hash }));
  },
  async put({ key, value }) {
    return await db.put(key, value);
  },
};

process.on('message', async ({ id, action, ...args }) => {
  try {
    process.send({ type: 'done', id, value: await actions[action](args) });
  } catch (error) {
    process.send({ type: 'done', id, failure: String(error) });
  }
});
process.on('disconnect', () => process.exit(0));
process.send({ type: 'ready', address: String(libp2p.getMultiaddrs()[0]) });
