// In charge of: files that show exactly what the policies show, for more policies than `npm test` has time for. TRIPLES=… for another number.
process.env.TRIPLES ??= '2000';
await import('../storage-policies.test.ts');
