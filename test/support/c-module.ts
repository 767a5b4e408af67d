/** C sources compiled on the spot to WebAssembly modules that import their memory, as peers are. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasTool } from './tools.ts';

export const CLANG = 'clang lld';

export function hasClang(): boolean {
  return hasTool('clang') && hasTool('wasm-ld');
}

/** What every source begins with: no C library is there, and clang calls these two by itself. */
const PRELUDE = `
#include <stddef.h>
#include <stdint.h>
#define VERB(name) __attribute__((export_name(#name)))
void *memset(void *to, int value, size_t count) {
  for (volatile char *p = to; count > 0; count--) *p++ = value;
  return to;
}
void *memcpy(void *to, const void *from, size_t count) {
  const char *q = from;
  for (volatile char *p = to; count > 0; count--) *p++ = *q++;
  return to;
}
#line 1 "module.c"
`;

/** Xen's headers know x86 and Arm: with these, what blkif.h has is laid out as on x86-64. */
export const XEN_PRELUDE = `
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#define __x86_64__ 1
#define xen_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() xen_mb()
#define xen_wmb() xen_mb()
#include <xen/io/blkif.h>
`;

/** A linked module. Throws what the compiler said if it refuses. */
export function compileModule(source: string, ...flags: string[]): Uint8Array {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-wasm-'));
  try {
    const file = join(directory, 'module.c');
    const module = join(directory, 'module.wasm');
    writeFileSync(file, PRELUDE + source);
    const fixed = ['--target=wasm32', '-nostdlib', '-ffreestanding', '-idirafter', '/usr/include'];
    const link = ['-Wl,--no-entry', '-Wl,--import-memory', '-Wl,--export=__heap_base'];
    const all = [...fixed, ...link, ...flags, '-o', module, file];
    const compiled = spawnSync('clang', all, { encoding: 'utf8' });
    if (compiled.status !== 0) throw new Error(`clang refused the module:\n${compiled.stderr}`);
    return new Uint8Array(readFileSync(module));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
