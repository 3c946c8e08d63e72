// In charge of: where PGlite's data is in a state folder, for those that only look.

/** Another name than the other engines' folder: none of them may take it for its own. */
export const pgliteFolderName = 'pglite';
