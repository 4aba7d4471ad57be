/** Completion scripts: static text, so that the Tab key starts no process. */
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { completionTree } from './completion/tree.ts';
import { zshCompletion } from './completion/zsh.ts';
import type { PackageFacts } from './man.ts';
import type { Manifest } from './manifest.ts';

/** The scripts by the name of their file. */
export function completions(manifest: Manifest, facts: PackageFacts): Map<string, string> {
  const tree = completionTree(manifest, facts);
  return new Map([
    ['aegis.bash', bashCompletion(tree)],
    ['_aegis', zshCompletion(tree)],
    ['aegis.fish', fishCompletion(tree)],
  ]);
}
