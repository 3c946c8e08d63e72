// In charge of: what stands in config.toml, as values.

export type ConfigValue = string | number | bigint | boolean | Date | readonly ConfigValue[] | ConfigSection;
export interface ConfigSection {
  readonly [key: string]: ConfigValue;
}

/** The value at a dotted path; undefined when there is none. */
export function valueAt(root: ConfigSection, path: string): ConfigValue | undefined {
  let value: ConfigValue | undefined = root;
  for (const key of path.split('.')) {
    if (value === undefined || !isSection(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

export function isSection(value: ConfigValue | undefined): value is ConfigSection {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}
