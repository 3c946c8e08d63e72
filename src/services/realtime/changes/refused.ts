// In charge of: a wish for changes that is refused, in the sentence that upstream's clients know.

/** Whoever asked may read it. There is no point in asking for the same again. */
export class SubscriptionRefused extends Error {
  override readonly name = 'SubscriptionRefused';
}
