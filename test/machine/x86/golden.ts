/**
 * Cases with what a processor made of them, kept in a file for each maker, for where no processor can be asked. After a line that says which
 * processor and seed, all cases, then all results, compressed; of a case what differs from the case before, of a result what
 * differs from its case, so that nearly all is zero.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { CASE_BYTES, Case, FILL } from './case.ts';
import { explained } from './explained.ts';
import { formsOf, Generator } from './generator.ts';
import type { Maker } from './maker.ts';
import type { NativeOracle } from './native-oracle.ts';
import { Subject } from './subject.ts';

const fileOf = (maker: Maker): URL => new URL(`golden/${maker}.bin`, import.meta.url);
const SEED = 1;
/** Cases of one form. */
const PER_FORM = 8;
export const asked = [...formsOf(64), ...formsOf(32).filter(({ only }) => only === 'i64')];
/** Cases that share registers and memory but for what their instruction works on. */
const SHARED = 96;

export interface Golden {
  readonly count: number;
  readonly cases: ArrayBuffer;
  readonly results: ArrayBuffer;
}

/** `bytes` xor `other`, in place; of either, `other` is what lies `distance` before. */
const difference = (bytes: Uint8Array, distance: number): void => {
  for (let i = bytes.length - 1; i >= distance; i--) bytes[i]! ^= bytes[i - distance]!;
};
const sum = (bytes: Uint8Array, distance: number): void => {
  for (let i = distance; i < bytes.length; i++) bytes[i]! ^= bytes[i - distance]!;
};
const exclusiveOr = (bytes: Uint8Array, other: Uint8Array): void => {
  for (let i = 0; i < bytes.length; i++) bytes[i]! ^= other[i]!;
};

export const readGolden = (maker: Maker): Golden => {
  const file = readFileSync(fileOf(maker));
  const bytes = new Uint8Array(brotliDecompressSync(file.subarray(file.indexOf('\n') + 1)));
  const half = bytes.length / 2;
  const [cases, results] = [bytes.slice(0, half), bytes.slice(half)];
  sum(cases, CASE_BYTES);
  exclusiveOr(results, cases);
  return { count: half / CASE_BYTES, cases: cases.buffer, results: results.buffer };
};

export const writeGolden = (oracle: NativeOracle, processor: string): void => {
  const count = asked.length * PER_FORM;
  const cases = new Uint8Array(count * CASE_BYTES);
  fill(cases.buffer, count, oracle.maker);
  const results = cases.slice();
  oracle.run(results.buffer);
  exclusiveOr(results, cases);
  difference(cases, CASE_BYTES);
  const header = `${JSON.stringify({ processor, seed: SEED, cases: count })}\n`;
  const packed = brotliCompressSync(Buffer.concat([cases, results]));
  writeFileSync(fileOf(oracle.maker), Buffer.concat([Buffer.from(header), packed]));
};

/** Every form in turn, those that are not of 64-bit mode in compatibility mode. */
const fill = (cases: ArrayBuffer, count: number, maker: Maker): void => {
  const generators = { 64: new Generator(SEED, 64, maker), 32: new Generator(SEED, 32, maker) };
  const subject = new Subject(maker);
  const ours = new Case(new ArrayBuffer(CASE_BYTES), 0);
  for (let i = 0; i < count; i++) {
    const test = new Case(cases, i);
    const form = asked[i % asked.length]!;
    const mode = form.only === 'i64' ? 32 : 64;
    const generator = generators[mode];
    const fresh = i % SHARED === 0 || new Case(cases, i - 1).mode !== mode;
    for (let good = false; !good; ) {
      if (fresh) generator.fill(test, form);
      else test.bytes.set(new Case(cases, i - 1).bytes);
      const op = generator.instruct(test, form);
      if (typeof op !== 'string') test.code.fill(FILL, op.length);
      good = !explained(test, op, maker) && subject.run(test, ours) !== undefined;
    }
  }
};
