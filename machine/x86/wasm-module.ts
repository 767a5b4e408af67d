/**
 * Modules of WebAssembly, with the few sections that ours have.
 * @source WebAssembly core specification, 5.5 Modules
 */
import { WasmCode, type WasmType } from './wasm-code.ts';

export interface FunctionType {
  readonly parameters: readonly WasmType[];
  readonly results: readonly WasmType[];
}

export interface ModuleParts {
  /** Functions from `env`, numbered from 0. Their types, too, come first. */
  readonly imports: ReadonlyArray<readonly [name: string, type: FunctionType]>;
  /** Functions, numbered after those, exported under their names. */
  readonly functions: ReadonlyArray<readonly [name: string, type: FunctionType, code: WasmCode]>;
  /** A further type, for calls through the imported table `env.table`: number INDIRECT_TYPE. */
  readonly indirect?: FunctionType;
}

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;

/** What `indirect` is, comes first of the types. */
export const INDIRECT_TYPE = 0;

/** A module over the imported memory `env.memory`. */
export const wasmModule = ({ imports, functions, indirect }: ModuleParts): WebAssembly.Module => {
  const first = indirect ? [indirect] : [];
  const types = [
    ...first,
    ...imports.map(([, type]) => type),
    ...functions.map(([, type]) => type),
  ];
  const env = (name: string, ...what: number[]): Uint8Array =>
    bytes(...text('env'), ...text(name), ...what);
  const imported = imports.map(([name], i) => env(name, 0, first.length + i));
  imported.push(env('memory', 2, 0, 1));
  if (indirect) imported.push(env('table', 1, FUNCREF, 0, 0));
  const typeOf = (i: number): number => first.length + imports.length + i;
  const module = new WasmCode(0).raw(bytes(...HEADER));
  section(module, 1, types.map(typeBytes));
  section(module, 2, imported);
  section(
    module,
    3,
    functions.map((_, i) => bytes(typeOf(i))),
  );
  section(
    module,
    7,
    functions.map(([name], i) => bytes(...text(name), 0, imports.length + i)),
  );
  section(
    module,
    10,
    functions.map(([, , code]) => code.body()),
  );
  return new WebAssembly.Module(module.written.slice());
};

const bytes = (...parts: number[]): Uint8Array => Uint8Array.from(parts);
const text = (name: string): number[] => [name.length, ...new TextEncoder().encode(name)];

const typeBytes = ({ parameters, results }: FunctionType): Uint8Array =>
  bytes(FUNCTION_TYPE, parameters.length, ...parameters, results.length, ...results);

/** A section: its number, its size, `entries`. */
const section = (to: WasmCode, id: number, entries: readonly Uint8Array[]): void => {
  const content = new WasmCode(0).u32(entries.length);
  for (const each of entries) content.raw(each);
  to.byte(id).u32(content.length).raw(content.written);
};
