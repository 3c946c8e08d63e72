// In charge of: which of PostgreSQL's own functions an older version lacks.

/** Functions that PostgreSQL 18 has and `major` has not, as far as a schema may call them. Others than 15 and 17 count as the older neighbour. */
export function missingFunctions(major: number): ReadonlySet<string> {
  return new Set([...(major < 17 ? missingIn15 : []), ...(major < 18 ? missingIn17 : [])]);
}

// Source: the names in pg_catalog.pg_proc of 15.18, 17.10 and 18.4, one set taken from the other; without those that only indexes, types and aggregates call.
const words = (text: string) => text.trim().split(/\s+/);

const missingIn15: readonly string[] = words(`
  any_value array_sample array_shuffle date_add date_subtract erf erfc icu_unicode_version json_agg_strict json_object_agg_strict
  json_object_agg_unique json_object_agg_unique_strict jsonb_agg_strict jsonb_object_agg_strict jsonb_object_agg_unique
  jsonb_object_agg_unique_strict jsonb_populate_record_valid pg_basetype pg_column_toast_chunk_id pg_get_wait_events
  pg_input_error_info pg_input_is_valid random_normal system_user to_bin to_oct to_regtypemod unicode_assigned unicode_version
  uuid_extract_timestamp uuid_extract_version xmltext`);

const missingIn17: readonly string[] = words(`
  array_reverse array_sort bytea casefold crc32 crc32c gamma has_largeobject_privilege lgamma pg_get_acl pg_get_aios
  pg_get_loaded_modules pg_numa_available uuidv4 uuidv7`);
