/**
 * `oclif.manifest.json`: the declarations of all commands, so that a start loads only one of them.
 * Man pages, completions and several tests are made from it.
 */
import { type Command, Plugin } from '@oclif/core';

export interface Manifest {
  readonly version: string;
  readonly commands: Readonly<Record<string, Command.Cached>>;
}

/** Loads every command that has been built under `root` and returns the text of the manifest. */
export async function makeManifest(root: string): Promise<string> {
  const plugin = new Plugin({
    root,
    isRoot: true,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  });
  await plugin.load();
  const { version, commands } = plugin.manifest as unknown as Manifest;
  const sorted = Object.keys(commands).toSorted();
  const all = Object.fromEntries(sorted.map((id) => [id, commands[id]]));
  return `${JSON.stringify({ version, commands: all }, null, 2)}\n`;
}
