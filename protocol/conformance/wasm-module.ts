/**
 * A module taken apart, as far as the contract and the rewriter need it: sections stay bytes, and
 * only types, imports, functions, globals and exports are understood.
 * @source WebAssembly core specification, 5.5 Modules
 */
import { ByteReader, ByteWriter } from './wasm-bytes.ts';
import { Op, unknown, valtype } from './wasm-opcodes.ts';

export const Section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  data_count: 12,
} as const;

/** externtype: what an import or an export is. */
const EXTERN = ['function', 'table', 'memory', 'global', 'tag'] as const;

export interface FuncType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly kind: (typeof EXTERN)[number];
}

export interface Export {
  readonly name: string;
  readonly kind: (typeof EXTERN)[number];
  readonly index: number;
}

export interface Global {
  readonly type: number;
  readonly mutable: boolean;
  /** Its value, if that is one i32.const. */
  readonly value: number | undefined;
}

export interface WasmModule {
  /** In the order of the file, without the custom ones. */
  readonly sections: readonly { readonly id: number; readonly body: Uint8Array }[];
  readonly customs: readonly string[];
  readonly types: readonly FuncType[];
  /** Up to and including the first that is not env.memory: what follows is not read. */
  readonly imports: readonly Import[];
  /** The least size of env.memory in pages of 64 KiB. */
  readonly memoryMin: number;
  readonly definesMemory: boolean;
  /** The type of each function. */
  readonly functions: readonly number[];
  readonly globals: readonly Global[];
  readonly exports: readonly Export[];
}

/** The bytes must be a valid module already. */
export function parseModule(bytes: Uint8Array): WasmModule {
  const reader = new ByteReader(bytes);
  const sections: { id: number; body: Uint8Array }[] = [];
  const customs: string[] = [];
  reader.take(8);
  while (!reader.done) {
    const id = reader.byte();
    const body = reader.take(reader.u32());
    if (id === Section.custom) customs.push(new ByteReader(body).name());
    else if (id > Section.data_count) unknown(`a section ${id}`);
    else sections.push({ id, body });
  }

  const all = <T>(id: number, element: (section: ByteReader) => T): T[] => {
    const body = sections.find((section) => section.id === id)?.body;
    if (!body) return [];
    const section = new ByteReader(body);
    return section.vector(() => element(section));
  };
  const { imports, memoryMin } = parseImports(sections.find(({ id }) => id === Section.import));
  all(Section.table, table);
  return {
    sections,
    customs,
    types: all(Section.type, functype),
    imports,
    memoryMin,
    definesMemory: all(Section.memory, limits).length > 0,
    functions: all(Section.function, (section) => section.u32()),
    globals: all(Section.global, (section) => copyGlobal(section, new ByteWriter(), 0)),
    exports: all(Section.export, (section) => ({
      name: section.name(),
      kind: externKind(section),
      index: section.u32(),
    })),
  };
}

function parseImports(section: { body: Uint8Array } | undefined) {
  const imports: Import[] = [];
  let memoryMin = 0;
  if (!section) return { imports, memoryMin };
  const reader = new ByteReader(section.body);
  for (let left = reader.u32(); left > 0; left--) {
    const module = reader.name();
    const name = reader.name();
    const kind = externKind(reader);
    imports.push({ module, name, kind });
    if (module !== 'env' || name !== 'memory' || kind !== 'memory') break;
    if (imports.length > 1) unknown('a second memory');
    memoryMin = limits(reader);
  }
  return { imports, memoryMin };
}

function externKind(reader: ByteReader): (typeof EXTERN)[number] {
  return EXTERN[reader.byte()] ?? unknown('an import or export of a new kind');
}

function functype(reader: ByteReader): FuncType {
  if (reader.byte() !== 0x60) unknown('types that are no function types');
  const types = () => reader.vector(() => valtype(reader));
  return { params: types(), results: types() };
}

/** Returns the minimum. A shared memory has flags 3; from 4 on the addresses are of 64 bits. */
function limits(reader: ByteReader): number {
  const flags = reader.byte();
  if (flags > 3) unknown('a memory with 64-bit addresses or other pages');
  const min = reader.u32();
  if (flags & 1) reader.u32();
  return min;
}

function table(reader: ByteReader): void {
  valtype(reader);
  limits(reader);
}

/** Copies one global to `out`, the functions that it names moved up by `shift`. */
export function copyGlobal(reader: ByteReader, out: ByteWriter, shift: number): Global {
  const type = valtype(reader);
  const mutable = reader.byte() === 1;
  out.byte(type).byte(mutable ? 1 : 0);
  return { type, mutable, value: copyConstExpr(reader, out, shift) };
}

/**
 * Copies a constant expression, the functions that it names moved up by `shift`.
 * Returns its value if it is one i32.const.
 */
export function copyConstExpr(
  reader: ByteReader,
  out: ByteWriter,
  shift: number,
): number | undefined {
  let value: number | undefined;
  for (let count = 0; ; count++) {
    const from = reader.at;
    const opcode = reader.byte();
    if (opcode === Op['ref.func']) {
      out.op(opcode, reader.u32() + shift);
      continue;
    }
    if (opcode === Op['i32.const']) value = reader.s32();
    else constImmediates(reader, opcode);
    out.raw(reader.bytes.subarray(from, reader.at));
    if (opcode === Op.end) return count === 1 ? value : undefined;
  }
}

function constImmediates(reader: ByteReader, opcode: number): void {
  const isArithmetic = opcode >= 0x6a && opcode <= 0x7e;
  if (opcode === Op.end || isArithmetic) return;
  if (opcode === 0x42 || opcode === Op['global.get'] || opcode === 0xd0) reader.skipLeb();
  else if (opcode === 0x43) reader.take(4);
  else if (opcode === 0x44) reader.take(8);
  else if (opcode === Op.simd && reader.u32() === 12) reader.take(16);
  else unknown(`the instruction 0x${opcode.toString(16)} in a constant expression`);
}
