/**
 * Operations as text, in Intel's order: `add dword ptr [rax+rcx*4+0x10], 0x5`. Jumps show the distance to the next instruction,
 * or their target when the address is given.
 */
import type { CodeMode } from '../vcpu.ts';
import type { Width } from './builder.ts';
import { decode, type Operation } from './decoder.ts';
import { BASE_RIP, type MemoryOperand, type Operand } from './operands.ts';

const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', '?', '?'];
const PREFIX_SEGMENTS: Readonly<Record<number, string>> = {
  ...{ 38: 'es:', 46: 'cs:', 54: 'ss:', 62: 'ds:', 100: 'fs:', 101: 'gs:' },
};
const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');
const SIZES: Readonly<Record<number, string>> = {
  1: 'byte',
  2: 'word',
  4: 'dword',
  8: 'qword',
  10: 'tbyte',
  16: 'xmmword',
};
const PREFIXES: Readonly<Record<number, string>> = { 242: 'repne ', 243: 'rep ' };

/** `rax`, `r8d`, `ah`. */
export const registerName = (register: number, width: number, high = false): string => {
  const legacy = LEGACY[register];
  if (legacy === undefined) return `r${register}${{ 1: 'b', 2: 'w', 4: 'd' }[width] ?? ''}`;
  if (width === 1) {
    if (high) return `${legacy[0]}h`;
    return legacy.endsWith('x') ? `${legacy[0]}l` : `${legacy}l`;
  }
  return `${{ 4: 'e', 8: 'r' }[width] ?? ''}${legacy}`;
};

const hex = (value: bigint): string =>
  value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;

const memoryText = (o: MemoryOperand, sized: boolean): string => {
  const terms: string[] = [];
  if (o.base === BASE_RIP) terms.push(o.addressWidth === 8 ? 'rip' : 'eip');
  else if (o.base >= 0) terms.push(registerName(o.base, o.addressWidth));
  if (o.index >= 0) terms.push(`${registerName(o.index, o.addressWidth)}*${o.scale}`);
  if (o.displacement !== 0n || terms.length === 0) terms.push(hex(o.displacement));
  const segment = PREFIX_SEGMENTS[o.segment] ?? '';
  const size = sized ? `${SIZES[o.width]} ptr ` : '';
  return `${size}${segment}[${terms.join('+').replaceAll('+-', '-')}]`;
};

const operandText = (
  o: Operand,
  sized: boolean,
  next: bigint | undefined,
  width: Width,
): string => {
  switch (o.kind) {
    case 'register':
      return registerName(o.register, o.width, o.high);
    case 'vector':
      return `xmm${o.register}`;
    case 'stack':
      return `st${o.register}`;
    case 'mmx':
      return `mm${o.register}`;
    case 'memory':
      return memoryText(o, sized);
    case 'relative':
      if (next !== undefined) return hex(BigInt.asUintN(8 * width, next + o.value));
      return `$${o.value < 0n ? '' : '+'}${hex(o.value)}`;
    case 'segment':
      return SEGMENTS[o.register]!;
    case 'control':
      return `cr${o.register}`;
    case 'debug':
      return `dr${o.register}`;
    default:
      return hex(o.value);
  }
};

/** The mnemonic: with its condition, or the one for its operand size. */
const mnemonic = (op: Operation): string => {
  const { name } = op.form.row;
  const [first] = op.operands;
  if (first?.kind === 'condition') return name.replace(/cc$/, CONDITIONS[Number(first.value)]!);
  const names = name.split('/');
  return names[op.width === 8 ? 2 : op.width === 4 ? 1 : 0] ?? name;
};

export const disassemble = (op: Operation, address?: bigint): string => {
  const next = address === undefined ? undefined : address + BigInt(op.length);
  const prefix = op.form.row.traits.rep ? (PREFIXES[op.repeat] ?? '') : '';
  const operands = op.form.operands
    .flatMap((spec, i) =>
      spec.implied ? [] : [operandText(op.operands[i]!, spec.type !== '', next, op.width)],
    )
    .join(', ');
  return `${op.lock ? 'lock ' : ''}${prefix}${mnemonic(op)} ${operands}`.trimEnd();
};

/** One line for `bytes`, whatever they are. */
export const disassembleBytes = (bytes: Uint8Array, address?: bigint, mode?: CodeMode): string => {
  const op = decode(bytes, mode);
  return typeof op === 'string' ? `(${op})` : disassemble(op, address);
};
