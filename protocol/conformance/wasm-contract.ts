/**
 * What a module must be to be tested: it imports env.memory and nothing else, says where its own
 * memory ends, and exports every verb of an end. Each way to miss that has one sentence that says
 * what is wrong and what would be right.
 */
import type { Role, Verb } from './peer.ts';
import { refuse } from './wasm-bytes.ts';
import type { Export, WasmModule } from './wasm-module.ts';
import { I32 } from './wasm-opcodes.ts';

export const ROLES: readonly Role[] = ['front', 'back'];

/** How many parameters each verb has, all i32, as is its result. */
const PARAMS: Readonly<Record<Verb, number>> = {
  init: 2,
  attach: 3,
  request: 1,
  push: 0,
  response: 1,
  final_check: 0,
  write: 2,
  read: 2,
};
export const VERBS = Object.keys(PARAMS) as readonly Verb[];

/** An end of a ring of requests and responses has the first of these, one of a byte ring the second. */
const MESSAGE_VERBS: readonly Verb[] = ['request', 'push', 'response', 'final_check'];
const BYTE_VERBS: readonly Verb[] = ['write', 'read'];

/** More own memory than this is a mistake: an end of a ring needs a few KiB. */
const MOST_PAGES = 1024;
const PAGE_BYTES = 65536;

const TYPES: Readonly<Record<number, string>> = {
  [0x7f]: 'i32',
  [0x7e]: 'i64',
  [0x7d]: 'f32',
  [0x7c]: 'f64',
  [0x7b]: 'v128',
  [0x70]: 'funcref',
  [0x6f]: 'externref',
};

/** Whether the bytes can be a module at all. @throws PeerFault */
export function checkBinary(bytes: Uint8Array<ArrayBuffer>): void {
  const head = [...bytes.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0'));
  const magic = head.slice(0, 4).join(' ');
  if (magic !== '00 61 73 6d') {
    refuse(
      `is not a WebAssembly module: it begins with ${magic || 'nothing'}, not with 00 61 73 6d`,
    );
  }
  const version = head.slice(4).join(' ');
  if (version !== '01 00 00 00') {
    refuse(`is not a WebAssembly module of version 1: its version is ${version || 'missing'}`);
  }
  if (WebAssembly.validate(bytes)) return;
  let why = 'the engine does not say why';
  try {
    new WebAssembly.Module(bytes);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  refuse(`is not a valid WebAssembly module: ${why}`);
}

/** Returns `__heap_base`, below which memory is the module's own. @throws PeerFault */
export function checkContract(module: WasmModule): number {
  if (module.customs.includes('linking')) {
    refuse('is an object file that is not linked: link it with wasm-ld --no-entry --import-memory');
  }
  checkMemory(module);
  const heapBase = checkHeapBase(module);
  const found = ROLES.filter((role) => checkRole(module, role));
  if (found.length === 0) {
    refuse('exports neither front_init nor back_init: export the verbs of at least one end');
  }
  return heapBase;
}

function checkMemory(module: WasmModule): void {
  const stranger = module.imports.find(
    ({ module, name, kind }) => module !== 'env' || name !== 'memory' || kind !== 'memory',
  );
  if (stranger) {
    refuse(
      `imports the ${stranger.kind} ${stranger.module}.${stranger.name}: only the memory env.memory can be imported, so define everything else in the module`,
    );
  }
  if (module.imports.length === 0) {
    const has = module.definesMemory ? 'defines its memory itself' : 'has no memory';
    refuse(`${has}: it must import env.memory, so link with --import-memory`);
  }
  if (module.definesMemory) refuse('defines a memory beside env.memory: it must have only that');
  if (module.memoryMin > MOST_PAGES) {
    refuse(
      `wants a memory of ${module.memoryMin} pages of 64 KiB: at most ${MOST_PAGES} are given, so link with a smaller --initial-memory`,
    );
  }
}

function checkHeapBase(module: WasmModule): number {
  const heapBase = module.exports.find(({ name }) => name === '__heap_base');
  if (!heapBase) {
    refuse(
      'does not export __heap_base, the end of its own memory: link with -Wl,--export=__heap_base',
    );
  }
  if (heapBase.kind !== 'global') {
    refuse(`exports __heap_base as a ${heapBase.kind}: it must be a global i32`);
  }
  const global = module.globals[heapBase.index];
  if (global?.type !== I32) {
    refuse(`exports __heap_base as a global ${typeName(global?.type)}: it must be an i32`);
  }
  if (global.value === undefined || global.mutable) {
    refuse('exports a __heap_base that is not constant: it must be an immutable i32.const');
  }
  if (global.value >>> 0 > MOST_PAGES * PAGE_BYTES) {
    refuse(
      `has its __heap_base at ${global.value >>> 0}: at most ${MOST_PAGES * PAGE_BYTES} bytes can be its own`,
    );
  }
  return global.value;
}

/** Whether the module has this end; if it has a part of it, it must have the whole. */
function checkRole(module: WasmModule, role: Role): boolean {
  const verbs = VERBS.filter((verb) => {
    const found = module.exports.find(({ name }) => name === `${role}_${verb}`);
    if (found) checkVerb(module, verb, found);
    return found !== undefined;
  });
  if (verbs.length === 0) return false;
  const isBytes = BYTE_VERBS.some((verb) => verbs.includes(verb));
  const isMessages = !isBytes || MESSAGE_VERBS.some((verb) => verbs.includes(verb));
  const needed: Verb[] = ['init'];
  if (isMessages) needed.push(...MESSAGE_VERBS);
  if (isBytes) needed.push(...BYTE_VERBS);
  const missing = needed.filter((verb) => !verbs.includes(verb));
  if (missing.length > 0) {
    const names = missing.map((verb) => `${role}_${verb}`).join(', ');
    refuse(`exports ${role}_${verbs[0]} but no ${names}: an end must export all of its verbs`);
  }
  return true;
}

function checkVerb(module: WasmModule, verb: Verb, { name, kind, index }: Export): void {
  if (kind !== 'function') refuse(`exports ${name} as a ${kind}: it must be a function`);
  const { params = [], results = [] } = module.types[module.functions[index] ?? -1] ?? {};
  const is = `(${params.map(typeName).join(', ')}) -> (${results.map(typeName).join(', ')})`;
  const must = `(${Array<string>(PARAMS[verb]).fill('i32').join(', ')}) -> (i32)`;
  if (is !== must) refuse(`exports ${name} with the type ${is}: it must be ${must}`);
}

function typeName(type: number | undefined): string {
  return TYPES[type ?? 0] ?? 'of an unknown type';
}
