/**
 * What is not compared, because processors differ there or this one has instructions that we lack. A case is explained by
 * its bytes and registers, never by its result.
 */

import { RBP, RSP } from '../../../machine/vcpu.ts';
import type { Operation } from '../../../machine/x86/decoder.ts';
import { AC } from '../../../machine/x86/flags.ts';
import type { Undecodable } from '../../../machine/x86/operands.ts';
import { isCanonical } from '../../../machine/x86/state.ts';
import { C1 } from '../../../machine/x86/x87-state.ts';
import { type Case, CODE, DATA, FCW, FLAGS, GPR, GS_BASE, PAGE, RIP } from './case.ts';
import { effectiveAddress, operandAddress, windowOffset } from './effective-address.ts';

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

const writesWell = (op: Operation, test: Case): boolean =>
  writable(effectiveAddress(op, test, 0n) ?? 0n);

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
const CANONICAL_END = 1n << 47n;

/** Of segments; and where addresses of 16 bits begin again. */
const LEGACY_ENDS = [1n << 32n, 1n << 16n, BigInt(GS_BASE) + (1n << 16n)];

const straddles = (op: Operation, test: Case): boolean => {
  const address = effectiveAddress(op, test, test.get(RIP)) ?? 0n;
  if (op.mode === 64 && !isCanonical(address) && (address & 15n) !== 0n) return true;
  const ends = op.addressWidth === 8 ? [CANONICAL_END, 1n << 64n] : LEGACY_ENDS;
  return ends.some((end) => address < end && address + LARGEST_BLOCK > end);
};

const checksAlignment = (test: Case): boolean => (Number(test.get(FLAGS)) & AC) !== 0;

/** All exceptions of SSE are masked. */
const masked = ({ mxcsr }: Case): boolean => (mxcsr & 0x1f80) === 0x1f80;

/** MXCSR bit 17 is AMD's mask of misaligned exceptions, and reserved on Intel's processors, which ours says it is. */
const loadsMisalignedMask = (op: Operation, test: Case): boolean => {
  const next = test.get(RIP) + BigInt(op.length);
  const at = windowOffset(effectiveAddress(op, test, next) ?? 0n);
  return at >= 0 && at + 4 <= test.window.length && ((test.window[at + 2]! >> 1) & 1) === 1;
};

export const explained = (test: Case, op: Operation | Undecodable): boolean => {
  const { map, opcode, prefixed, narrowed } = opcodeOf(test.code);
  // With 66, F2 or F3 these are CLFLUSHOPT, CLWB, UMONITOR and others.
  if (map === 1 && opcode === 0xae && prefixed) return true;
  // VMMCALL, MONITOR and others.
  if (map === 1 && opcode === 0x01 && typeof op === 'string') return true;
  // With F2 or F3: MOVDDUP, MOVSLDUP, MOVSHDUP, MOVNTSS, MOVQ2DQ and others.
  const later = [0x12, 0x16, 0x2b, 0xd6].includes(opcode);
  if (map === 1 && later && prefixed && typeof op === 'string') return true;
  // AMD: LOCK MOV CR0 is MOV CR8.
  if (map === 1 && (opcode === 0x20 || opcode === 0x22)) return test.code.includes(0xf0);
  // UD0 and UD1: AMD raises #UD without fetching what follows.
  const ud = map === 1 && (opcode === 0xb9 || opcode === 0xff);
  if (ud && (op === 'long' || Number(test.get(RIP)) + 15 > CODE + PAGE)) return true;
  // AMD takes 66 on near branches as a 16-bit operand size, also in their length; Intel ignores it.
  const direct = map === 1 ? (opcode & 0xf0) === 0x80 : (opcode & 0xfe) === 0xe8;
  if (direct && narrowed) return true;
  // Aliases that the SDM does not document, and FISTTP.
  if (map === 0 && (opcode & 0xf8) === 0xd8 && typeof op === 'string') return true;
  if (typeof op === 'string') return false;
  const { name, traits } = op.form.row;
  if (traits.size === 'f64' && narrowed) return true;
  // AMD pushes before it looks at the target.
  if (name === 'call' && !writable(test.get(GPR + 8 * RSP) - 8n)) return true;
  if (name === 'ldmxcsr' && loadsMisalignedMask(op, test)) return true;
  // AMD's source has 32 bits whatever the operand size.
  if (name === 'movsxd' && op.width === 2) return true;
  // With F3: TZCNT and LZCNT.
  if ((name === 'bsf' || name === 'bsr') && op.repeat === 0xf3) return true;
  // With F2 or F3 AMD takes the prefix for the condition.
  if (name.startsWith('loop') && op.repeat !== 0) return true;
  // What comes before an alignment check, or how much of it there has been; and what alignment a block needs.
  if (
    checksAlignment(test) &&
    (isBlock(op) || /^(call|cmps|bound|maskmovq|maskmovdqu|enter|pusha|popa)$/.test(name))
  )
    return true;
  // A processor has pushed already when ENTER faults.
  if (name === 'enter') return !entersWell(op, test);
  // A processor has pushed or popped some registers already when these fault.
  const sp = test.get(GPR + 8 * RSP);
  if (name === 'pusha' && !(writable(sp - 32n) && writable(sp - 8n))) return true;
  if (name === 'popa' && !(readable(sp) && readable(sp + 24n))) return true;
  // Blocks over an end of the address space, or nowhere and not aligned: the vector, or where they go on.
  if ((isBlock(op) || name === 'bound') && straddles(op, test)) return true;
  // AMD has entered MMX already when one of these faults.
  if (/^cvt(pi2|t?p[sd]2pi)/.test(name) && !masked(test)) return true;
  if (name === 'maskmovq' && (test.code.includes(CS_PREFIX) || !writesWell(op, test))) return true;
  // With memory AMD does not enter MMX.
  if (name === 'cvtpi2ps' && op.modrm < 0xc0) return true;
  // AMD leaves C1 as it was where the SDM clears it.
  if (/^fu?comip?$/.test(name) && (test.view.getUint16(FCW + 2, true) & C1) !== 0) return true;
  // Whose fault comes first when both operands have one.
  return name === 'cmps' && !op.operands.some((each) => readable(operandAddress(each, test)));
};
