// In charge of: looking at the tree that PostgreSQL's parser makes of a text.

export type Tree = Readonly<Record<string, unknown>>;

export function isUnsetSetting(node: unknown): boolean {
  if (!isTree(node)) return false;
  const nullIf = node['A_Expr'];
  if (isTree(nullIf) && nullIf['kind'] === 'AEXPR_NULLIF') return isUnsetSetting(nullIf['lexpr']);
  const cast = node['TypeCast'];
  if (isTree(cast)) return isUnsetSetting(cast['arg']);
  const call = node['FuncCall'];
  if (!isTree(call) || strings(call['funcname']).join('.') !== 'current_setting') return false;
  const setting = constant(items(call['args'])[0])?.toLowerCase();
  return setting !== undefined && /^request\.jwt\.claim(\.|$)/.test(setting);
}

/** The value of a `select` that has one and nothing else. */
export function onlyValue(select: unknown): unknown {
  if (!isTree(select)) return undefined;
  const targets = items(select['targetList']);
  const isPlain = Object.keys(select).every((key) => ['targetList', 'limitOption', 'op'].includes(key));
  const target = targets[0];
  if (!isPlain || targets.length !== 1 || !isTree(target)) return undefined;
  const value = target['ResTarget'];
  return isTree(value) ? value['val'] : undefined;
}

/** A text constant, with or without a cast to text. */
export function constant(node: unknown): string | undefined {
  if (!isTree(node)) return undefined;
  const cast = node['TypeCast'];
  if (isTree(cast)) return constant(cast['arg']);
  const value = node['A_Const'];
  const text = isTree(value) ? value['sval'] : undefined;
  if (!isTree(text)) return undefined;
  return typeof text['sval'] === 'string' ? text['sval'] : '';
}

export function strings(nodes: unknown): string[] {
  return items(nodes).flatMap((node) => {
    const text = isTree(node) ? node['String'] : undefined;
    return isTree(text) && typeof text['sval'] === 'string' ? [text['sval']] : [];
  });
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
