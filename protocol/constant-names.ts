/**
 * From a number back to Xen's name for it: the constants of a module, by value.
 */

/** The numeric constants of a module whose names begin with `prefix`, but for `except`. */
export function namesOf(
  module: object,
  prefix: string,
  except: readonly string[] = [],
): ReadonlyMap<number, string> {
  const names = Object.entries<unknown>({ ...module }).filter(
    (entry): entry is [string, number] =>
      entry[0].startsWith(prefix) && typeof entry[1] === 'number' && !except.includes(entry[0]),
  );
  return new Map(names.map(([name, value]) => [value, name]));
}
