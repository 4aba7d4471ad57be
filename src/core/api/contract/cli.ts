/** What commands print that ask neither a home nor a daemon. */
import * as v from 'valibot';

export const versionResult = v.object({
  schema: v.literal('aegis.version/1'),
  version: v.string(),
  node: v.string(),
  platform: v.string(),
  arch: v.string(),
});

export const completionResult = v.object({
  schema: v.literal('aegis.completion/1'),
  shell: v.picklist(['bash', 'zsh', 'fish']),
  script: v.string(),
});

export type VersionResult = v.InferOutput<typeof versionResult>;
export type CompletionResult = v.InferOutput<typeof completionResult>;
