/** A JSON-schema check for what docs/report.schema.json uses, so that the schema itself is what tests hold reports to. */

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly oneOf?: readonly Schema[];
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minimum?: number;
}

const typeOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value)) return 'integer';
  return value === null ? 'null' : typeof value;
};

/** @returns what is wrong with `value`, each with its path; nothing when it conforms. */
export const violations = (value: unknown, schema: Schema, root = schema, path = '$'): string[] => {
  if (schema.$ref) {
    return violations(value, root.$defs![schema.$ref.replace('#/$defs/', '')]!, root, path);
  }
  if (schema.oneOf) {
    const tries = schema.oneOf.map((one) => violations(value, one, root, path));
    return tries.filter((wrong) => wrong.length === 0).length === 1 ? [] : tries.flat();
  }
  if (schema.enum && !schema.enum.includes(value)) return [`${path}: ${value} is not in the enum`];
  if (schema.type && typeOf(value) !== schema.type) return [`${path}: is no ${schema.type}`];
  if (schema.minimum !== undefined && (value as number) < schema.minimum)
    return [`${path}: too small`];
  if (Array.isArray(value)) {
    const few = value.length < (schema.minItems ?? 0) ? [`${path}: too few items`] : [];
    return [
      ...few,
      ...value.flatMap((item, i) => violations(item, schema.items!, root, `${path}[${i}]`)),
    ];
  }
  return typeOf(value) === 'object' ? inObject(value as object, schema, root, path) : [];
};

const inObject = (value: object, schema: Schema, root: Schema, path: string): string[] => {
  const missing = (schema.required ?? []).filter((name) => !(name in value));
  return [
    ...missing.map((name) => `${path}.${name}: is missing`),
    ...Object.entries(value).flatMap(([name, part]) => {
      const known = schema.properties?.[name];
      if (known) return violations(part, known, root, `${path}.${name}`);
      return schema.additionalProperties === false ? [`${path}.${name}: is not in the schema`] : [];
    }),
  ];
};
