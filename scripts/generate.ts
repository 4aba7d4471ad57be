/** Writes what is made from declarations: manifest, man pages, completions, the API's document. */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { completions } from './completions.ts';
import { manPages, type PackageFacts } from './man.ts';
import { type Manifest, makeManifest } from './manifest.ts';
import { openApiText } from './openapi.ts';

/** Every generated file by its path under `root`. Man pages written by hand are not among them. */
export async function generated(root: string): Promise<Map<string, string>> {
  const text = await makeManifest(root);
  const manifest = JSON.parse(text) as Manifest;
  const facts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageFacts;
  const files = new Map([
    ['oclif.manifest.json', text],
    ['docs/openapi.json', openApiText(root)],
  ]);
  for (const [name, page] of manPages(manifest, facts)) files.set(`man/${name}.1`, page);
  for (const [name, script] of completions(manifest, facts))
    files.set(`completions/${name}`, script);
  return files;
}

/** Writes them, and removes the pages of commands that are gone. */
export async function generate(root: string): Promise<void> {
  const files = await generated(root);
  for (const old of globSync('man/*.1', { cwd: root })) {
    if (!files.has(old)) rmSync(join(root, old));
  }
  for (const [name, text] of files) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
