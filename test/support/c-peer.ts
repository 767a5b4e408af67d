/**
 * The C peers of examples/c, or other ones like them, compiled when a test asks: as programs and as WebAssembly
 * modules, by the commands of docs/conformance.md. What was compiled once is kept until the test file ends.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { CompileError } from './c-program.ts';
import { hasHeader, hasTool } from './tools.ts';

/** Whether a peer can be compiled to a program; the words for `itNeeds`. */
export const NATIVE = 'gcc and libxen-dev';
export const canCompileNative = hasTool('gcc') && hasHeader('xen/io/ring.h');
/** Whether a peer can be compiled to a module. */
export const WASM = 'clang, lld and libxen-dev';
export const canCompileWasm = hasTool('clang') && hasTool('wasm-ld') && canCompileNative;

const SOURCES = fileURLToPath(new URL('../../examples/c', import.meta.url));
const NATIVE_COMMAND = ['gcc', '-O2'];
const WASM_COMMAND = [
  ...['clang', '--target=wasm32', '-mcpu=mvp', '-O2', '-ffreestanding', '-nostdlib'],
  '-Wl,--no-entry,--import-memory,--export=__heap_base',
  ...['-idirafter', '/usr/include'],
];

const made = new Map<string, string>();
let directory: string | undefined;
afterAll(() => {
  if (directory) rmSync(directory, { recursive: true, force: true });
  directory = undefined;
  made.clear();
});

/** The path of the program. `source` is a name in examples/c or a path; flags are such as `-DPROTOCOL_blkif`. */
export function nativePeer(source: string, ...flags: readonly string[]): string {
  return compiled(NATIVE_COMMAND, source, flags);
}

/** The bytes of the module. */
export function wasmPeer(source: string, ...flags: readonly string[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(compiled(WASM_COMMAND, source, flags)));
}

function compiled(command: readonly string[], source: string, flags: readonly string[]): string {
  const key = [...command, source, ...flags].join('\0');
  const known = made.get(key);
  if (known) return known;
  directory ??= mkdtempSync(join(tmpdir(), 'hospes-c-peer-'));
  const output = join(directory, `peer-${made.size}`);
  const [compiler, ...first] = command;
  const rest = [...first, ...flags, '-o', output, resolve(SOURCES, source)];
  const { status, stderr, error } = spawnSync(compiler!, rest, { encoding: 'utf8' });
  if (status !== 0) throw new CompileError(error?.message ?? stderr);
  made.set(key, output);
  return output;
}
