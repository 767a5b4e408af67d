/**
 * What is not compared, because processors differ there or this one has instructions that we lack. A case is explained by
 * its bytes and registers, and by who made the processor, never by its result.
 */

import { RBP, RCX, RDI, RSI, RSP } from '../../../machine/vcpu.ts';
import type { Operation } from '../../../machine/x86/decoder.ts';
import { AC } from '../../../machine/x86/flags.ts';
import type { Undecodable } from '../../../machine/x86/operands.ts';
import { isCanonical } from '../../../machine/x86/state.ts';
import { C1, SUMMARY } from '../../../machine/x86/x87-state.ts';
import { type Case, CODE, DATA, FCW, FLAGS, GPR, GS_BASE, PAGE, RIP } from './case.ts';
import { effectiveAddress, operandAddress, windowOffset } from './effective-address.ts';
import type { Maker } from './maker.ts';

const OPERAND_SIZE = 0x66;
const CS_PREFIX = 0x2e;

interface Opcode {
  readonly map: number;
  readonly opcode: number;
  /** By 66, F2 or F3. */
  readonly prefixed: boolean;
  /** By 66. */
  readonly narrowed: boolean;
}

const isPrefix = (byte: number): boolean =>
  (byte & 0xf0) === 0x40 ||
  (byte & 0xe7) === 0x26 ||
  [0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3].includes(byte);

const opcodeOf = (code: Uint8Array): Opcode => {
  let at = 0;
  while (at < code.length - 2 && isPrefix(code[at]!)) at++;
  const prefixes = code.subarray(0, at);
  const narrowed = prefixes.includes(OPERAND_SIZE);
  const prefixed = narrowed || prefixes.includes(0xf2) || prefixes.includes(0xf3);
  return code[at] === 0x0f
    ? { map: 1, opcode: code[at + 1]!, prefixed, narrowed }
    : { map: 0, opcode: code[at]!, prefixed, narrowed };
};

const readable = (address: bigint): boolean =>
  address >= BigInt(DATA) && address <= BigInt(DATA + 2 * PAGE - 8);

const writable = (address: bigint): boolean =>
  address >= BigInt(DATA) && address <= BigInt(DATA + PAGE - 8);

/** Both ends of what lies at these distances from the stack pointer. */
const spans = (
  test: Case,
  reachable: (address: bigint) => boolean,
  ...ends: readonly bigint[]
): boolean => ends.every((end) => reachable(test.get(GPR + 8 * RSP) + end));

/** `more`: bytes beyond eight. */
const writesWell = (op: Operation, test: Case, more = 0n): boolean => {
  const address = effectiveAddress(op, test, test.get(RIP) + BigInt(op.length)) ?? 0n;
  return writable(address) && writable(address + more);
};

/** Nothing that ENTER touches can fault. */
const entersWell = ({ operands, width }: Operation, test: Case): boolean => {
  const [size, level] = operands.map((each) => ('value' in each ? Number(each.value) : 0));
  const [sp, bp] = [test.get(GPR + 8 * RSP), test.get(GPR + 8 * RBP)];
  const frames = BigInt(width * (1 + (level! & 31)));
  const first = (level! & 31) > 1 ? bp - frames : bp;
  const copies = first === bp || (readable(first) && readable(bp));
  return copies && writable(sp - frames - BigInt(size! & 0xffff)) && writable(sp - 8n);
};

/** Its operand is many words, which are accessed in any order. */
export const isBlock = (op: Operation): boolean =>
  /^f(n?save|rstor|n?stenv|ldenv|xsave|xrstor)/.test(op.form.row.name);

export const LARGEST_BLOCK = 512n;
/** No other operand is larger. */
const LARGEST = 16n;
const CANONICAL_END = 1n << 47n;

/** Of segments; and where addresses of 16 bits begin again, or the address space, as it does within GS. */
const LEGACY_ENDS = [
  ...[16n, 32n].flatMap((bits) => [1n << bits, BigInt(GS_BASE) + (1n << bits)]),
  BigInt(GS_BASE),
];

const straddles = (op: Operation, test: Case, size: bigint): boolean => {
  const address = effectiveAddress(op, test, test.get(RIP)) ?? 0n;
  if (op.mode === 64 && !isCanonical(address) && (address & 15n) !== 0n) return true;
  const ends = op.addressWidth === 8 ? [CANONICAL_END, 1n << 64n] : LEGACY_ENDS;
  return ends.some((end) => address < end && address + size > end);
};

const checksAlignment = (test: Case): boolean => (Number(test.get(FLAGS)) & AC) !== 0;

/** Whether stores may fault wherever they go. */
const refusesStores = (test: Case): boolean =>
  checksAlignment(test) || test.code.includes(CS_PREFIX);

const fsw = ({ view }: Case): number => view.getUint16(FCW + 2, true);

const isDenormal = (bits: bigint): boolean => ((bits >> 63n) & 0xffffn) === 0n;

/** All exceptions of SSE are masked. */
const masked = ({ mxcsr }: Case): boolean => (mxcsr & 0x1f80) === 0x1f80;

/** MXCSR bit 17 is AMD's mask of misaligned exceptions, and reserved on Intel's processors, which ours says it is. */
const loadsMisalignedMask = (op: Operation, test: Case): boolean => {
  const next = test.get(RIP) + BigInt(op.length);
  const at = windowOffset(effectiveAddress(op, test, next) ?? 0n);
  return at >= 0 && at + 4 <= test.window.length && ((test.window[at + 2]! >> 1) & 1) === 1;
};

interface Sample extends Opcode {
  readonly test: Case;
  readonly op: Operation | Undecodable;
  /** Of the row; empty if the bytes decode to nothing. */
  readonly name: string;
}

type Rule = (sample: Sample) => boolean;
type OperationRule = (op: Operation, sample: Sample) => boolean;

const decoded =
  (rule: OperationRule): Rule =>
  (sample) =>
    typeof sample.op !== 'string' && rule(sample.op, sample);

const absent = ({ op }: Sample): boolean => typeof op === 'string';

/** Of either maker's processors. */
const everywhere: readonly Rule[] = [
  // With 66, F2 or F3 these are CLFLUSHOPT, CLWB, UMONITOR and others.
  ({ map, opcode, prefixed }) => map === 1 && opcode === 0xae && prefixed,
  // VMMCALL, MONITOR and others.
  (sample) => sample.map === 1 && sample.opcode === 0x01 && absent(sample),
  // With F2 or F3: MOVDDUP, MOVSLDUP, MOVSHDUP, MOVNTSS, MOVQ2DQ and others.
  (sample) =>
    sample.map === 1 &&
    sample.prefixed &&
    [0x12, 0x16, 0x2b, 0xd6].includes(sample.opcode) &&
    absent(sample),
  // EVEX, in compatibility mode.
  (sample) => sample.map === 0 && sample.opcode === 0x62 && absent(sample),
  // Aliases that the SDM does not document, and FISTTP.
  (sample) => sample.map === 0 && (sample.opcode & 0xf8) === 0xd8 && absent(sample),
  // With F3: TZCNT and LZCNT.
  decoded(({ repeat }, { name }) => /^bs[fr]$/.test(name) && repeat === 0xf3),
  // CALL pushes before it looks at the target.
  ({ test, name }) => name === 'call' && !writable(test.get(GPR + 8 * RSP) - 8n),
  // A processor has pushed already when ENTER faults.
  decoded((op, { test, name }) => name === 'enter' && !entersWell(op, test)),
  // A processor has pushed or popped some registers already when these fault.
  ({ test, name }) => name === 'pusha' && !spans(test, writable, -32n, -8n),
  ({ test, name }) => name === 'popa' && !spans(test, readable, 0n, 24n),
  // Whose fault comes first when both operands have one.
  decoded(
    (op, { test, name }) =>
      name === 'cmps' && !op.operands.some((each) => readable(operandAddress(op, each, test))),
  ),
  // MMX has been entered already when one of these faults.
  ({ test, name }) => /^cvt(pi2|t?p[sd]2pi)/.test(name) && !masked(test),
  // What comes before an alignment check, or how much of it there has been; and what alignment a block needs.
  decoded(
    (op, { test, name }) =>
      checksAlignment(test) &&
      (isBlock(op) || /^(call|cmps|maskmovdqu|enter|pusha|popa)$/.test(name)),
  ),
  // Blocks over an end of the address space, or nowhere and not aligned: the vector, or where they go on.
  decoded((op, { test }) => isBlock(op) && straddles(op, test, LARGEST_BLOCK)),
];

const amd: readonly Rule[] = [
  // PAUSE with REX.B is XCHG.
  ({ test, name }) =>
    name === 'pause' &&
    test.code.some((byte, i, code) => byte === 0x90 && (code[i - 1]! & 0xf1) === 0x41),
  // LOCK MOV CR0 is MOV CR8.
  ({ test, map, opcode }) =>
    map === 1 && (opcode === 0x20 || opcode === 0x22) && test.code.includes(0xf0),
  // UD0 and UD1 raise #UD without fetching what follows.
  ({ test, map, opcode, op }) =>
    map === 1 &&
    (opcode === 0xb9 || opcode === 0xff) &&
    (op === 'long' || Number(test.get(RIP)) + 15 > CODE + PAGE),
  // 66 on near branches is a 16-bit operand size, also in their length; Intel ignores it.
  ({ map, opcode, narrowed }) =>
    narrowed && (map === 1 ? (opcode & 0xf0) === 0x80 : (opcode & 0xfe) === 0xe8),
  decoded(({ form }, { narrowed }) => narrowed && form.row.traits.size === 'f64'),
  // MXCSR has a mask of misaligned exceptions, bit 17, which is reserved on Intel's processors.
  decoded((op, { test, name }) => name === 'ldmxcsr' && loadsMisalignedMask(op, test)),
  // Its source has 32 bits whatever the operand size.
  decoded(({ width }, { name }) => name === 'movsxd' && width === 2),
  // With F2 or F3 the prefix is taken for the condition.
  decoded(({ repeat }, { name }) => name.startsWith('loop') && repeat !== 0),
  // Not asked yet: whether a stack fault clears C1, which stays otherwise; whether CVTPI2PS of memory reports what is pending;
  // whether a denormal number that stays what it is underflows.
  ({ test, name }) =>
    /^fu?comip?$/.test(name) && (fsw(test) & C1) !== 0 && test.view.getUint16(FCW + 4, true) < 0xff,
  decoded(
    ({ modrm }, { test, name }) =>
      name === 'cvtpi2ps' && modrm < 0xc0 && (fsw(test) & SUMMARY) !== 0,
  ),
  ({ test, name }) => /^f(prem1?|scale)$/.test(name) && isDenormal(test.stack(0)),
  // What comes before an alignment check; bounds over an end of the address space.
  ({ test, name }) => checksAlignment(test) && /^(bound|maskmovq)$/.test(name),
  decoded((op, { test, name }) => name === 'bound' && straddles(op, test, LARGEST_BLOCK)),
  decoded(
    (op, { test, name }) =>
      name === 'maskmovq' && (test.code.includes(CS_PREFIX) || !writesWell(op, test)),
  ),
];

const hasMemory = (op: Operation, bytes?: number): boolean =>
  op.operands.some(({ kind, width }) => kind === 'memory' && width === (bytes ?? width));

/** Registers that point to what is pushed or popped. */
const stackPointers = (name: string): readonly number[] => {
  if (/^(leave|enter)$/.test(name)) return [RSP, RBP];
  return /^(push|pop|call|ret)/.test(name) ? [RSP] : [];
};

/** How far from its operand a bit string is accessed. */
const bitOffset = ({ operands, width }: Operation, { test, name }: Sample): bigint => {
  const index = operands[1];
  if (!/^bt[src]?$/.test(name) || index?.kind !== 'register') return 0n;
  const bits = BigInt.asIntN(8 * width, test.get(GPR + 8 * index.register));
  return (bits >> BigInt(Math.log2(8 * width))) * BigInt(width);
};

/** An operand, or what is pushed or popped, may lie over an end of the address space. */
const nearEnd = (op: Operation, sample: Sample): boolean => {
  const { test, name } = sample;
  const [bits, end] = op.mode === 64 ? [64, CANONICAL_END] : [32, 0n];
  const near = (address: bigint, beyond: bigint): boolean =>
    BigInt.asUintN(bits, address - end + LARGEST) < LARGEST + beyond;
  const next = test.get(RIP) + BigInt(op.length);
  const operands = op.operands
    .filter(({ kind }) => kind === 'memory')
    .map((each) => operandAddress(op, each, test, next) + bitOffset(op, sample));
  return (
    stackPointers(name).some((i) => near(test.get(GPR + 8 * i), LARGEST)) ||
    operands.some((address) => near(address, 0n))
  );
};

const intel: readonly Rule[] = [
  // Where it goes on.
  decoded((op, { test, name }) => name === 'maskmovdqu' && straddles(op, test, LARGEST)),
  // PREFETCHW of a register does nothing.
  (sample) => sample.map === 1 && sample.opcode === 0x0d && absent(sample),
  // What does not fit below 4 GiB may fault or go on at 0 (SDM vol. 3, 5.3); in 64-bit mode an alignment check comes before the
  // canonical one, and 80 bits come in two.
  decoded(
    (op, sample) =>
      (op.mode !== 64 || checksAlignment(sample.test) || hasMemory(op, 10)) && nearEnd(op, sample),
  ),
  // With ECX for a counter, it and the pointers lose their upper halves even when nothing is done.
  decoded(
    (op, { test }) =>
      op.mode === 64 &&
      op.repeat !== 0 &&
      op.addressWidth === 4 &&
      op.form.row.traits.rep === true &&
      [RCX, RSI, RDI].some((i) => test.get(GPR + 8 * i) >> 32n !== 0n),
  ),
  // The first bound is looked at before the second is read.
  decoded((op, { test, name }) => {
    const address = effectiveAddress(op, test, 0n) ?? 0n;
    return name === 'bound' && !readable(address) && readable(address - 8n);
  }),
  // Unaligned moves need not be aligned.
  ({ test, name }) => checksAlignment(test) && /^mov(up[sd]|dqu)$/.test(name),
  // What an unmasked exception keeps from being stored does not look at memory, and a store of 80 bits comes in two.
  decoded(
    (op, { test, name }) =>
      /^f(i?st|bst)p?$/.test(name) &&
      op.modrm < 0xc0 &&
      (refusesStores(test) || !writesWell(op, test, 2n)),
  ),
  // MMX has been entered already when a store faults.
  decoded(
    (op, { test, name }) =>
      /^(mov[dq]|movntq|maskmovq)$/.test(name) &&
      op.operands.some(({ kind }) => kind === 'mmx') &&
      hasMemory(op) &&
      (refusesStores(test) || !writesWell(op, test)),
  ),
];

const rules: Readonly<Record<Maker, readonly Rule[]>> = {
  amd: [...everywhere, ...amd],
  intel: [...everywhere, ...intel],
};

export const explained = (test: Case, op: Operation | Undecodable, maker: Maker): boolean => {
  const name = typeof op === 'string' ? '' : op.form.row.name;
  const sample = { test, op, name, ...opcodeOf(test.code) };
  return rules[maker].some((rule) => rule(sample));
};
