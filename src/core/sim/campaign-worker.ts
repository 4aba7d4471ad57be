/** A thread that runs its share of the seeds of a campaign and tells of each. */
import { parentPort, workerData } from 'node:worker_threads';
import { type CampaignOptions, runShare } from './campaign.ts';

export interface Share {
  readonly options: CampaignOptions;
  readonly step: number;
  readonly offset: number;
}

const { options, step, offset } = workerData as Share;
for (const result of runShare(options, step, offset)) parentPort?.postMessage(result);
