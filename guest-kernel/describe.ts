/** Errors as text, for panics. */

/** An error as one line. */
export const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
