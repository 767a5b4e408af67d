/**
 * A module rewritten so that each of its accesses can be seen: three imported functions come before
 * its own, every function index moves up by three, and its mutable globals are exported, so that
 * they can be put back. Of the exports only functions and these globals are left.
 */
import { ByteReader, ByteWriter } from './wasm-bytes.ts';
import { BodyRewriter, HOOK_COUNT } from './wasm-code.ts';
import { ROLES, VERBS } from './wasm-contract.ts';
import type { MemoryMap } from './wasm-memory.ts';
import { copyConstExpr, copyGlobal, Section, type WasmModule } from './wasm-module.ts';
import { I32, V128 } from './wasm-opcodes.ts';

/** The import modules of the rewritten module: memory, and the hooks. */
const IMPORTS = {
  memory: 'memory',
  access: 'access',
  spent: 'spent',
  grow: 'grow',
} as const;
const FROM = 'kit';

export interface Rewritten {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Names under which mutable globals are exported. */
  readonly globals: readonly string[];
  /** Whether it changes what cannot be put back, so that each `open` needs a new instance. */
  readonly isRenewed: boolean;
}

/** What an instance of the rewritten module is given. */
export function importsOf(
  memory: WebAssembly.Memory,
  access: (address: number, offset: number, code: number) => void,
  spent: () => void,
  grow: (pages: number) => number,
): WebAssembly.Imports {
  return { [FROM]: { memory, access, spent, grow } };
}

export function rewriteModule(module: WasmModule, map: MemoryMap): Rewritten {
  const out = new ByteWriter().raw(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  let isRenewed = module.globals.some(({ mutable, type }) => mutable && type === V128);
  for (const { id, body } of module.sections) {
    const reader = new ByteReader(body);
    const section = new ByteWriter();
    if (id === Section.code) isRenewed = codeSection(reader, section, module, map) || isRenewed;
    else rewriteSection(id, reader, section, module, map);
    out.byte(id).sized(section.written);
  }
  const globals = mutableGlobals(module).map(globalName);
  return { bytes: out.written.slice(), globals, isRenewed };
}

function rewriteSection(
  id: number,
  reader: ByteReader,
  out: ByteWriter,
  module: WasmModule,
  map: MemoryMap,
): void {
  switch (id) {
    case Section.type:
      out.u32(reader.u32() + 3).raw(reader.bytes.subarray(reader.at));
      out.byte(0x60).u32(3).byte(I32).byte(I32).byte(I32).u32(0); // access
      out.byte(0x60).u32(0).u32(0); // spent
      out.byte(0x60).u32(1).byte(I32).u32(1).byte(I32); // grow
      return;
    case Section.import:
      importSection(out, module.types.length, map);
      return;
    case Section.global:
      out.u32(reader.u32());
      while (!reader.done) copyGlobal(reader, out, HOOK_COUNT);
      return;
    case Section.export:
      exportSection(out, module);
      return;
    case Section.start:
      out.u32(reader.u32() + HOOK_COUNT);
      return;
    case Section.element:
      out.u32(reader.u32());
      while (!reader.done) element(reader, out);
      return;
    default:
      out.raw(reader.bytes);
  }
}

/** The memory has the size that the kit gives it, and is not shared: nobody else runs meanwhile. */
function importSection(out: ByteWriter, types: number, map: MemoryMap): void {
  out.u32(1 + HOOK_COUNT);
  out.name(FROM).name(IMPORTS.memory).byte(2).byte(0).u32(map.totalPages);
  for (const [i, hook] of [IMPORTS.access, IMPORTS.spent, IMPORTS.grow].entries()) {
    out
      .name(FROM)
      .name(hook)
      .byte(0)
      .u32(types + i);
  }
}

function mutableGlobals(module: WasmModule): number[] {
  return [...module.globals.keys()].filter((i) => {
    const { mutable, type } = module.globals[i]!;
    return mutable && type !== V128; // which JavaScript can neither read nor write
  });
}

function globalName(index: number): string {
  return `global ${index}`;
}

/** Functions are all kept, since ref.func may name only what is exported or in a table. */
function exportSection(out: ByteWriter, module: WasmModule): void {
  const verbs = new Set(ROLES.flatMap((role) => VERBS.map((verb) => `${role}_${verb}`)));
  const functions = module.exports.filter(({ kind }) => kind === 'function');
  const globals = mutableGlobals(module);
  out.u32(functions.length + globals.length);
  for (const [i, { name, index }] of functions.entries()) {
    out
      .name(verbs.has(name) ? name : `function ${i}`)
      .byte(0)
      .u32(index + HOOK_COUNT);
  }
  for (const index of globals) out.name(globalName(index)).byte(3).u32(index);
}

/** One element segment; its flags say which of its parts are there. */
function element(reader: ByteReader, out: ByteWriter): void {
  const flags = reader.u32();
  const isPassive = (flags & 1) !== 0;
  const isExplicit = (flags & 2) !== 0;
  const isExpressions = (flags & 4) !== 0;
  out.u32(flags);
  if (!isPassive && isExplicit) out.u32(reader.u32());
  if (!isPassive) copyConstExpr(reader, out, HOOK_COUNT);
  if (isPassive || isExplicit) out.byte(reader.byte()); // elemkind or reftype
  const count = reader.u32();
  out.u32(count);
  for (let i = 0; i < count; i++) {
    if (isExpressions) copyConstExpr(reader, out, HOOK_COUNT);
    else out.u32(reader.u32() + HOOK_COUNT);
  }
}

/** Whether some function changes what only a new instance can put back. */
function codeSection(
  reader: ByteReader,
  out: ByteWriter,
  module: WasmModule,
  map: MemoryMap,
): boolean {
  let isLasting = false;
  const count = reader.u32();
  out.u32(count);
  for (let i = 0; i < count; i++) {
    const { params } = module.types[module.functions[i]!]!;
    const code = new ByteReader(reader.take(reader.u32()));
    const body = new BodyRewriter(code, params.length, map);
    out.sized(body.rewrite());
    isLasting ||= body.isLasting;
  }
  return isLasting;
}
