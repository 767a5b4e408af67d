/** Modules put together by hand, byte by byte, so that tests of peers need no compiler. */

export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;

export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

export function i32(value: number): number[] {
  const bytes = [0x41];
  let rest = value | 0;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}

export interface FunctionSpec {
  readonly name?: string;
  readonly params?: readonly number[];
  readonly results?: readonly number[];
  readonly locals?: readonly number[];
  /** The expression, without its end. */
  readonly code: readonly number[];
}

export interface ModuleSpec {
  readonly imports?: readonly (readonly [string, string, readonly number[]])[];
  readonly functions: readonly FunctionSpec[];
  /** Whole globals: valtype, mutability, expression. Number 0 is __heap_base. */
  readonly globals?: readonly (readonly number[])[];
  /** Name, kind, index; functions with names are exported besides. */
  readonly exports?: readonly (readonly [string, number, number])[];
  /** Whole sections by number, put where they belong. */
  readonly sections?: Readonly<Record<number, readonly number[]>>;
}

export const text = (name: string): number[] => sized([...new TextEncoder().encode(name)]);
export const sized = (bytes: readonly number[]): number[] => [...leb(bytes.length), ...bytes];
const vector = (all: readonly (readonly number[])[]): number[] => [
  ...leb(all.length),
  ...all.flat(),
];

export const MEMORY_IMPORT = ['env', 'memory', [2, 0, 1]] as const;
export const HEAP_BASE = 4096;
const HEAP_BASE_GLOBAL = [I32, 0, ...i32(HEAP_BASE), 0x0b];
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];

export function buildModule(spec: ModuleSpec): Uint8Array {
  const { functions, globals = [HEAP_BASE_GLOBAL], imports = [MEMORY_IMPORT] } = spec;
  const exports = spec.exports ?? [['__heap_base', 3, 0] as const];
  const named = functions.flatMap(({ name }, index) => (name ? [[name, 0, index] as const] : []));
  const sections: Record<number, readonly number[]> = {
    1: vector(
      functions.map(({ params = [], results = [] }) => [0x60, ...sized(params), ...sized(results)]),
    ),
    2: vector(imports.map(([module, name, type]) => [...text(module), ...text(name), ...type])),
    3: vector(functions.map((_, index) => leb(index))),
    6: vector(globals),
    7: vector([...exports, ...named].map(([name, kind, i]) => [...text(name), kind, ...leb(i)])),
    10: vector(
      functions.map(({ locals = [], code }) =>
        sized([...vector(locals.map((type) => [1, type])), ...code, 0x0b]),
      ),
    ),
    ...spec.sections,
  };
  const all = ORDER.filter((id) => sections[id]).flatMap((id) => [id, ...sized(sections[id]!)]);
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...all]);
}

/** The parameters of each verb of a front end, in the order in which the builder makes them. */
export const FRONT = {
  front_init: 2,
  front_request: 1,
  front_push: 0,
  front_response: 1,
  front_final_check: 0,
} as const;

/** Where `peerModule` keeps what front_init was given: global.get of the ring. */
export const RING = [0x23, 1];

type Overrides = Partial<Record<keyof typeof FRONT, Partial<FunctionSpec>>>;

/**
 * A front end whose verbs return 0, but for those given. Global 0 is __heap_base, 1 the ring, 2 is 7
 * and mutable. Functions 0 to 4 are the verbs; `more` come after them.
 */
export function peerModule(
  verbs: Overrides = {},
  more: readonly FunctionSpec[] = [],
  spec: Partial<ModuleSpec> = {},
): Uint8Array {
  const code: Partial<Record<string, number[]>> = { front_init: [0x20, 0, 0x24, 1, ...i32(0)] };
  const functions = Object.entries(FRONT).map(([name, params]) => ({
    name,
    params: Array<number>(params).fill(I32),
    results: [I32],
    code: code[name] ?? i32(0),
    ...verbs[name as keyof typeof FRONT],
  }));
  return buildModule({
    globals: [HEAP_BASE_GLOBAL, [I32, 1, ...i32(0), 0x0b], [I32, 1, ...i32(7), 0x0b]],
    ...spec,
    functions: [...functions, ...more],
  });
}
