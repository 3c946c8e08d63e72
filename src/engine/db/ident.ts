// In charge of: names and literals in SQL text, where a parameter cannot stand.

/** A quoted identifier. A NUL cannot stand in one. Source: PostgreSQL src/backend/utils/adt/ruleutils.c `quote_identifier`. */
export function ident(name: string): string {
  return `"${name.replaceAll('\0', '').replaceAll('"', '""')}"`;
}

/** A quoted literal, for the few utility statements that take no parameters (`alter role … password`). */
export function literal(value: string): string {
  const quoted = `'${value.replaceAll('\0', '').replaceAll("'", "''")}'`;
  return value.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
