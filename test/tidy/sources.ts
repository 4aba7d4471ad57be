/** The sources of aegis as syntax trees, and what the rules of the house ask of them. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseSync } from 'rolldown/utils';

export interface Syntax {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Source {
  readonly file: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly program: Syntax;
}

export interface Import {
  /** As written. */
  readonly specifier: string;
  /** For relative ones: the file, from the root of the repository. */
  readonly target: string | undefined;
  readonly kind: 'static' | 'dynamic' | 'type';
}

export function readSource(file: string): Source {
  const text = readFileSync(file, 'utf8');
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]!.message}`);
  return { file, text, lines: text.split('\n'), program: program as unknown as Syntax };
}

export const sourcesUnder = (...patterns: string[]): Source[] =>
  globSync(patterns).toSorted().map(readSource);

/** Files that git knows or would add. */
export const committedFiles = (): string[] =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    encoding: 'utf8',
  })
    .split('\0')
    .filter((file) => file !== '');

const isSyntax = (value: unknown): value is Syntax =>
  typeof value === 'object' && value !== null && typeof (value as Syntax).type === 'string';

/** Every node below `node`, in no promised order. */
export function* walk(node: Syntax): Generator<Syntax> {
  yield node;
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isSyntax(child)) yield* walk(child);
    }
  }
}

export const lineOf = (source: Source, offset: number): number =>
  source.text.slice(0, offset).split('\n').length;

/** `import`, `export from`, `import()`, import types, workers by `new URL(_, import.meta.url)`. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  for (const node of walk(source.program)) {
    const specifier = specifierOf(node);
    if (specifier === undefined) continue;
    const target = specifier.startsWith('.') ? join(dirname(source.file), specifier) : undefined;
    found.push({ specifier, target, kind: kindOf(node) });
  }
  return found;
}

function specifierOf(node: Syntax): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return literal(node['source'] ?? node['argument']);
    case 'NewExpression': {
      const [first, second] = node['arguments'] as Syntax[];
      const isModuleUrl = nameOf(node['callee']) === 'URL' && nameOf(second) === 'import.meta.url';
      const text = isModuleUrl ? literal(first) : undefined;
      return text?.endsWith('.ts') ? text : undefined;
    }
    default:
      return undefined;
  }
}

function kindOf(node: Syntax): Import['kind'] {
  if (node.type === 'TSImportType') return 'type';
  if (node['importKind'] === 'type' || node['exportKind'] === 'type') return 'type';
  if (node.type === 'ImportExpression' || node.type === 'NewExpression') return 'dynamic';
  return 'static';
}

function literal(node: unknown): string | undefined {
  if (!isSyntax(node)) return undefined;
  if (node.type === 'TSLiteralType') return literal(node['literal']);
  return typeof node['value'] === 'string' ? node['value'] : undefined;
}

/** `a`, `a.b`, `import.meta.url`; undefined for anything else. */
export function nameOf(node: unknown): string | undefined {
  if (!isSyntax(node)) return undefined;
  if (node.type === 'Identifier') return node['name'] as string;
  if (node.type === 'MetaProperty') return 'import.meta';
  if (node.type === 'MemberExpression' && node['computed'] === false) {
    const object = nameOf(node['object']);
    const property = nameOf(node['property']);
    return object === undefined || property === undefined ? undefined : `${object}.${property}`;
  }
  return undefined;
}

/** The identifier at the left end of `a.b[c].d`. */
export function rootOf(node: unknown): string | undefined {
  let at = node;
  while (isSyntax(at) && (at.type === 'MemberExpression' || at.type === 'TSNonNullExpression')) {
    at = at['object'] ?? at['expression'];
  }
  return isSyntax(at) && at.type === 'Identifier' ? (at['name'] as string) : undefined;
}
