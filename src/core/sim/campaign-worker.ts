/** A thread that runs its share of the seeds of a campaign and tells of each. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { type CampaignOptions, runShare } from './campaign.ts';

export interface Share {
  readonly options: CampaignOptions;
  readonly step: number;
  readonly offset: number;
}

const port = parentPort;
assert(port !== null, 'this file is for a thread');
const { options, step, offset } = workerData as Share;
for (const result of runShare(options, step, offset)) port.postMessage(result);
