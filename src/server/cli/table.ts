// In charge of: rows for a person's eyes: columns as wide as their widest word.

/** The last column is left as it is, so that lines do not end in blanks. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) =>
      line
        .map((word, column) => (column === head.length - 1 ? word : word.padEnd(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
