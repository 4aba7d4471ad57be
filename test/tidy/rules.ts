/** The rules of the house that need a syntax tree. Each tells what breaks it: `file:line what`. */
import { importsOf, lineOf, nameOf, rootOf, type Source, type Syntax, walk } from './sources.ts';

const FUNCTION_TYPES = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];
export const FUNCTION_LINES_MAX = 69;

export interface FunctionSize {
  readonly at: string;
  readonly lines: number;
}

export function functionSizes(source: Source): FunctionSize[] {
  const sizes: FunctionSize[] = [];
  for (const node of walk(source.program)) {
    if (!FUNCTION_TYPES.includes(node.type)) continue;
    const first = lineOf(source, node.start);
    sizes.push({ at: `${source.file}:${first}`, lines: lineOf(source, node.end) - first + 1 });
  }
  return sizes;
}

/** Clocks, timers, randomness and waiting, by how they are written. */
const IMPURE_NAMES = new RegExp(
  `^(${[
    'Date\\.now|performance(\\..*)?|process(\\..*)?',
    'set(Timeout|Interval|Immediate)|queueMicrotask|fetch',
    'Math\\.random|webcrypto|(globalThis\\.)?crypto\\..*|generateKey(Pair)?(Sync)?',
    '(.*\\.)?(random(Bytes|UUID|Int|Fill|FillSync|SecretKey|PrivateKey)|getRandomValues)',
  ].join('|')})$`,
);
/**
 * Built-in modules that are functions of their arguments, in what pure rooms use of them; that of
 * `node:module` is to load code when it is needed, as an import would at the start.
 */
const PURE_MODULES = ['node:crypto', 'node:buffer', 'node:util', 'node:module'];

export function impurities(source: Source): string[] {
  const found: string[] = [];
  const tell = (node: Syntax, what: string): void => {
    found.push(`${source.file}:${lineOf(source, node.start)} ${what}`);
  };
  for (const node of walk(source.program)) {
    if (node.type === 'AwaitExpression' || node['await'] === true) tell(node, 'await');
    if (node['async'] === true) tell(node, 'async');
    if (node.type === 'ImportExpression') tell(node, 'import()');
    const name = node.type === 'Identifier' || node.type === 'MemberExpression' ? nameOf(node) : '';
    if (name !== undefined && IMPURE_NAMES.test(name)) tell(node, name);
    if (node.type === 'NewExpression' && nameOf(node['callee']) === 'Date') {
      if ((node['arguments'] as unknown[]).length === 0) tell(node, 'new Date()');
    }
  }
  for (const { specifier, kind } of importsOf(source)) {
    if (kind !== 'type' && specifier.startsWith('node:') && !PURE_MODULES.includes(specifier)) {
      found.push(`${source.file} imports ${specifier}`);
    }
  }
  return found;
}

const CONTAINERS = ['Map', 'Set', 'WeakMap', 'WeakSet', 'Array'];
const MUTATORS = /^(push|pop|shift|unshift|splice|sort|reverse|fill|set|add|delete|clear)$/;

/**
 * State of a module: `let`, an empty container (which can only be there to be filled), or a change
 * to a top-level constant. Static fields of classes count as top-level.
 */
export function moduleState(source: Source): string[] {
  const found: string[] = [];
  const constants = new Set<string>();
  const tell = (node: Syntax, what: string): void => {
    found.push(`${source.file}:${lineOf(source, node.start)} ${what}`);
  };
  for (const statement of source.program['body'] as Syntax[]) {
    const declared = (statement['declaration'] ?? statement) as Syntax;
    if (declared.type === 'VariableDeclaration' && declared['declare'] !== true) {
      if (declared['kind'] !== 'const') tell(declared, `${String(declared['kind'])} at top level`);
      for (const declarator of declared['declarations'] as Syntax[]) {
        const name = nameOf(declarator['id']);
        if (name !== undefined) constants.add(name);
        if (isEmptyContainer(declarator['init']) && !isReadonly(declarator['id']))
          tell(declarator, 'empty container at top level');
      }
    }
  }
  for (const node of walk(source.program)) {
    if (node.type === 'PropertyDefinition' && node['static'] === true) {
      if (node['readonly'] !== true) tell(node, 'static field that is not readonly');
      if (isEmptyContainer(node['value'])) tell(node, 'empty container in a static field');
    }
    const changed = changedObject(node);
    if (changed !== undefined && constants.has(changed)) tell(node, `changes ${changed}`);
  }
  return found;
}

const MUTABLE_TYPES = ['Array', 'Map', 'Set', 'WeakMap', 'WeakSet', 'Record'];

/** Whether a binding says that what it holds does not change; the compiler sees to the rest. */
function isReadonly(id: unknown): boolean {
  const annotation = (id as Syntax)['typeAnnotation'] as Syntax | null | undefined;
  const type = annotation?.['typeAnnotation'] as Syntax | undefined;
  if (type === undefined || type.type === 'TSArrayType') return false;
  return !MUTABLE_TYPES.includes(nameOf(type['typeName']) ?? '');
}

function isEmptyContainer(value: unknown): boolean {
  const node = value as Syntax | null | undefined;
  if (node?.type === 'ArrayExpression') return (node['elements'] as unknown[]).length === 0;
  if (node?.type === 'ObjectExpression') return (node['properties'] as unknown[]).length === 0;
  if (node?.type !== 'NewExpression') return false;
  const isContainer = CONTAINERS.includes(nameOf(node['callee']) ?? '');
  return isContainer && (node['arguments'] as unknown[]).length === 0;
}

/** The name of the variable whose insides a node changes. */
function changedObject(node: Syntax): string | undefined {
  if (node.type === 'AssignmentExpression') return insideOf(node['left']);
  if (node.type === 'UpdateExpression') return insideOf(node['argument']);
  if (node.type === 'UnaryExpression' && node['operator'] === 'delete') {
    return insideOf(node['argument']);
  }
  if (node.type !== 'CallExpression') return undefined;
  const callee = node['callee'] as Syntax;
  if (callee.type !== 'MemberExpression') return undefined;
  const method = nameOf(callee['property']);
  return method !== undefined && MUTATORS.test(method) ? rootOf(callee['object']) : undefined;
}

const insideOf = (node: unknown): string | undefined =>
  (node as Syntax).type === 'MemberExpression' ? rootOf(node) : undefined;

/** The packages that `entry` loads before it runs: what its static imports reach. */
export function packagesAtStart(
  entry: string,
  sources: ReadonlyMap<string, Source>,
): Map<string, string> {
  const packages = new Map<string, string>();
  const seen = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    const source = sources.get(file);
    if (source === undefined || seen.has(file)) continue;
    seen.add(file);
    for (const { specifier, target, kind } of importsOf(source)) {
      if (kind !== 'static') continue;
      if (target !== undefined) queue.push(target);
      else packages.set(specifier, file);
    }
  }
  return packages;
}
