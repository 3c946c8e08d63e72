// In charge of: `[remotes.NAME]`: a section that is laid over the rest of config.toml when the project is run as that remote.
import { OperatorError } from '../../base/errors.ts';
import { type ConfigSection, type ConfigValue, isSection } from './config-values.ts';

export interface ChosenRemote {
  /** The file with the remote's section laid over it. */
  readonly root: ConfigSection;
  /** `remotes.staging`; undefined when none was chosen. */
  readonly path: string | undefined;
}

/**
 * Lays over the root what the remote says; tables are merged, anything else is replaced. `chosen` is a name, or the project ref that
 * stands in its `project_id`.
 * @throws OperatorError when two have one project_id, and when a named one is not there.
 * Source: supabase/cli apps/cli-go/pkg/config/config.go, `loadFromFile`, `mergeRemoteConfig`.
 */
export function chooseRemote(
  root: ConfigSection,
  chosen: { readonly named: string | undefined; readonly ref: string | undefined },
): ChosenRemote {
  const remotes = Object.entries(isSection(root.remotes) ? root.remotes : {}).filter(
    (entry): entry is [string, ConfigSection] => isSection(entry[1]),
  );
  refuseTwins(remotes);
  const { named, ref } = chosen;
  const found =
    named !== undefined
      ? remotes.find(([name, { project_id }]) => name === named || project_id === named)
      : remotes.find(([, { project_id }]) => ref !== undefined && project_id === ref);
  if (found === undefined && named !== undefined) {
    throw new OperatorError(
      `config.toml has no section [remotes.${named}].`,
      remotes.length === 0
        ? 'It has no remotes.'
        : `It has ${remotes.map(([name]) => `[remotes.${name}]`).join(', ')}.`,
    );
  }
  return found === undefined
    ? { root, path: undefined }
    : { root: merge(root, found[1]), path: `remotes.${found[0]}` };
}

function refuseTwins(remotes: readonly (readonly [name: string, section: ConfigSection])[]): void {
  const seen = new Map<ConfigValue, string>();
  for (const [name, { project_id }] of remotes) {
    if (project_id === undefined) continue;
    const other = seen.get(project_id);
    if (other !== undefined) {
      throw new OperatorError(
        `[remotes.${name}] and [remotes.${other}] in config.toml have the same project_id, "${String(project_id)}".`,
        'Give each its own: it is what a remote is known by.',
      );
    }
    seen.set(project_id, name);
  }
}

function merge(under: ConfigSection, over: ConfigSection): ConfigSection {
  const merged: Record<string, ConfigValue> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = Object.hasOwn(under, key) ? under[key] : undefined;
    merged[key] = isSection(value) && isSection(below) ? merge(below, value) : value;
  }
  return merged;
}
