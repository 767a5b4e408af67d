/**
 * What the user got wrong: a wrong argument, or an input that cannot be used. The message is one sentence that
 * says what was wrong and what would be right; the command prints it and exits with status 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
