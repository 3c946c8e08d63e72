// In charge of: compiling settings once and again only when they have changed. Live settings give the same object until then.

/** Gives what `compile` made of the source that `read` gives now. A look costs one comparison. */
export function whenChanged<S, C>(read: () => S, compile: (source: S) => C): () => C {
  let source = read();
  let compiled = compile(source);
  return () => {
    const now = read();
    if (now !== source) {
      compiled = compile(now);
      source = now;
    }
    return compiled;
  };
}
