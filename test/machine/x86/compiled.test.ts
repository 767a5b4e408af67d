/** C compiled by gcc gives on the evaluator what it gives natively. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { RAX, RDI, RDX, RSP } from '../../../machine/vcpu.ts';
import { Evaluator } from '../../../machine/x86/evaluator.ts';
import type { State } from '../../../machine/x86/state.ts';
import { X87Registers } from '../../../machine/x86/x87-state.ts';
import { compileC } from '../../support/c-program.ts';
import { itNeeds } from '../../support/tools.ts';
import { LONG_CR0, LONG_CR4 } from './engine-fixture.ts';
import { FlatMemory } from './flat-memory.ts';
import { hasOracle, ORACLE } from './native-oracle.ts';

const FUNCTION = `
#include <stdint.h>
static uint32_t v[128];
static char text[64];
static uint64_t high(uint64_t x, uint64_t y);
uint64_t f(uint64_t n) {
  uint64_t h = 1469598103934665603u, r = 0;
  for (int i = 0; i < 128; i++) { h = (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u + n; v[i] = h >> 13; }
  for (int gap = 64; gap; gap /= 2)
    for (int i = gap, j; i < 128; i++) {
      uint32_t x = v[i];
      for (j = i; j >= gap && v[j - gap] > x; j -= gap) v[j] = v[j - gap];
      v[j] = x;
    }
  for (int i = 0; i < 128; i++) r = (r << 5 | r >> 59) ^ v[i] * (uint64_t)(i + 1);
  r ^= high(r, h);
  r += r / (n | 1) + (int64_t)r % (int64_t)(n + 3);
  for (int i = 0; i < 64; i++) text[i] = r >> (i & 31);
  for (int i = 0; i < 64; i++) r += text[i] * i;
  double x = (double)(int64_t)r, sum = 0;
  float small[8], product = 1;
  for (int i = 0; i < 8; i++) small[i] = (float)v[i] / (float)(i + 3);
  for (int i = 0; i < 8; i++) product = product * small[i] < 1e30f ? product * small[i] : product - small[i];
  for (int i = 1; i < 20; i++) { double term = x / (i * 3.7e9); sum += term * term - (int)term; }
  double root = sum < 0 ? -sum : sum;
  for (int i = 0; i < 40; i++) root = root > 0 ? (root + sum / root) / 2 : 1;
  union { double d; uint64_t u; } bits = { root + product };
  long double wide = 1;
  for (int i = 1; i < 30; i++) wide = (wide * 1.0625L + r) / (i + 0.25L) - (wide < i ? i : (int)wide);
  return r ^ bits.u ^ (uint64_t)(int64_t)(wide * 1e12L);
}
#ifdef __SIZEOF_INT128__
static uint64_t high(uint64_t x, uint64_t y) { return (unsigned __int128)x * y >> 64; }
#else
static uint64_t high(uint64_t x, uint64_t y) {
  uint64_t a = x >> 32, b = (uint32_t)x, c = y >> 32, d = (uint32_t)y;
  uint64_t middle = (b * d >> 32) + (uint32_t)(a * d) + (uint32_t)(b * c);
  return a * c + (a * d >> 32) + (b * c >> 32) + (middle >> 32);
}
// Of libgcc, which may not be there for 32 bits.
static uint64_t divided(uint64_t n, uint64_t d, uint64_t *rest) {
  uint64_t quotient = *rest = 0;
  for (int i = 63; i >= 0; i--) {
    *rest = *rest << 1 | (n >> i & 1);
    if (*rest >= d) { *rest -= d; quotient |= 1ull << i; }
  }
  return quotient;
}
uint64_t __udivdi3(uint64_t n, uint64_t d) { uint64_t rest; return divided(n, d, &rest); }
int64_t __moddi3(int64_t n, int64_t d) { uint64_t rest; divided(n < 0 ? -n : n, d < 0 ? -d : d, &rest); return n < 0 ? -rest : rest; }
#endif`;
const MAIN = `${FUNCTION}
#include <stdio.h>
int main(void) { for (int i = 0; i < 2; i++) printf("%lx\\n", f(i * 77 + 5)); }`;

/** Doubles as on 64 bits, or the x87 would round differently. */
const BITS_32 = ['-m32', '-msse2', '-mfpmath=sse'];
const START = 0x1000;
const RETURN = 0x9000n;

/** The function alone, linked to run at START. */
const image = (level: string, mode: 64 | 32): Uint8Array => {
  const directory = mkdtempSync(join(tmpdir(), 'hospes-x86-'));
  const [source, output] = [join(directory, 'f.c'), join(directory, 'f.bin')];
  const linker = [
    `-Ttext=0x${START.toString(16)}`,
    '--section-start=.rodata=0x3000',
    '-Tbss=0x5000',
    '-e,f',
  ];
  const flags = ['-ffreestanding', '-fno-pic', '-fno-stack-protector', '-nostdlib', '-static'];
  const bits = mode === 64 ? [] : BITS_32;
  const format = ['-fno-asynchronous-unwind-tables', '-Wl,--build-id=none,--oformat=binary'];
  writeFileSync(source, FUNCTION);
  try {
    const all = [
      level,
      ...bits,
      ...flags,
      ...format,
      `-Wl,${linker.join(',')}`,
      '-o',
      output,
      source,
    ];
    const { status, stderr } = spawnSync('gcc', all, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

const call = (code: Uint8Array, argument: number, mode: 64 | 32): string => {
  const memory = new FlatMemory(0x10000);
  memory.bytes.set(code, START);
  // On the stack: where it returns, and of 32 bits the argument.
  const stack = mode === 64 ? 0xefe8 : 0xefec;
  memory.view.setBigUint64(stack, RETURN, true);
  if (mode === 32) memory.view.setUint32(stack + 4, argument, true);
  const state: State = {
    gpr: new BigUint64Array(16),
    vectors: Array.from({ length: 16 }, () => 0n),
    mxcsr: 0x1f80,
    x87: new X87Registers(),
    rip: BigInt(START),
    rflags: 0x202,
    fsBase: 0n,
    gsBase: 0n,
    cpl: 3,
    mode,
    cr0: LONG_CR0,
    cr4: LONG_CR4,
  };
  state.gpr[RSP] = BigInt(stack);
  state.gpr[RDI] = BigInt(argument);
  const evaluator = new Evaluator(state, memory);
  while (state.rip !== RETURN) {
    const outcome = evaluator.step();
    if (outcome.kind !== 'done') throw new Error(`${outcome.kind} at ${state.rip.toString(16)}`);
  }
  const value = state.gpr[RAX]!;
  return (mode === 64 ? value : value | (state.gpr[RDX]! << 32n)).toString(16);
};

describe('a function in C: hash, sort, 128-bit product, division, floating point', () => {
  for (const [level, mode] of [
    ['-O0', 64],
    ['-O2', 64],
    ['-O3', 64],
    ['-O0', 32],
    ['-O2', 32],
  ] as const)
    itNeeds(
      ORACLE,
      hasOracle,
      `returns what it returns natively, at ${level} for ${mode} bits`,
      () => {
        const native = compileC(MAIN);
        const expected = native.run().trim().split('\n');
        native.dispose();
        const code = image(level, mode);
        expect([5, 82].map((argument) => call(code, argument, mode))).toEqual(expected);
      },
    );
});
