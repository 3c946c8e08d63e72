// In charge of: where PGlite's data is in a state folder, for those that only look.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Another name than the other engines' folder: none of them may take it for its own. */
export const pgliteFolderName = 'pglite';
/** In a data folder that is whole: a start that was killed while it made one begins anew. */
export const wholeMark = 'millrace-whole';

/** Whether a state folder holds data of PGlite's. */
export function hasPgliteData(stateFolder: string): boolean {
  return existsSync(join(stateFolder, pgliteFolderName, wholeMark));
}
