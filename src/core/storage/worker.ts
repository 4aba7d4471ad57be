/**
 * The entry of a storage worker: opens the file that it was started for and serves it. The bundler
 * makes a file of its own from it. Its imports stay light, and free of JSX and of the network.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, unreachable } from '../assert.ts';
import { chainService } from './chain-service.ts';
import { contentService } from './content-service.ts';
import { indexService } from './index-service.ts';
import { createHashers } from './multihash.ts';
import type { WorkerStart } from './protocol.ts';
import { serve } from './service.ts';

assert(parentPort !== null, 'the storage worker runs in a worker thread only');
const { kind, path, options } = workerData as WorkerStart;
switch (kind) {
  case 'chain':
    serve(parentPort, path, (fatal) => chainService(path, options, fatal));
    break;
  case 'content': {
    const hashers = await createHashers();
    serve(parentPort, path, (fatal) => contentService(path, options, hashers, fatal));
    break;
  }
  case 'index':
    serve(parentPort, path, () => indexService(path, options));
    break;
  default:
    unreachable(kind);
}
