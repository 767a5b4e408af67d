/**
 * What a privileged instruction is and what it works on, in the words of exit.ts: so that who did not let it execute may do it.
 */
import * as exit from '../exit.ts';
import { IO_ADDRESS32, IO_FS, IO_GS, IO_IN, IO_REP, IO_STRING, ioAccess } from '../io-access.ts';
import { RDX, type Vcpu } from '../vcpu.ts';
import type { Operation } from './decoder.ts';
import type { Operand } from './operands.ts';

const BY_NAME = new Map<string, number>([
  ['hlt', exit.OP_HLT],
  ['cli', exit.OP_CLI],
  ['sti', exit.OP_STI],
  ['invlpg', exit.OP_INVLPG],
  ['lidt', exit.OP_LIDT],
  ['lgdt', exit.OP_LGDT],
  ['lldt', exit.OP_LLDT],
  ['ltr', exit.OP_LTR],
  ['rdmsr', exit.OP_RDMSR],
  ['wrmsr', exit.OP_WRMSR],
  ['in', exit.OP_IN],
  ['out', exit.OP_OUT],
  ['ins', exit.OP_INS],
  ['outs', exit.OP_OUTS],
  ['clts', exit.OP_CLTS],
  ['lmsw', exit.OP_LMSW],
  ['swapgs', exit.OP_SWAPGS],
  ['sysret', exit.OP_SYSRET],
  ['invd', exit.OP_INVD],
  ['wbinvd', exit.OP_WBINVD],
]);
const TO_CONTROL: Readonly<Record<number, number>> = {
  0: exit.OP_MOV_TO_CR0,
  2: exit.OP_MOV_TO_CR2,
  3: exit.OP_MOV_TO_CR3,
  4: exit.OP_MOV_TO_CR4,
  8: exit.OP_MOV_TO_CR8,
};
const FROM_CONTROL: Readonly<Record<number, number>> = {
  0: exit.OP_MOV_FROM_CR0,
  2: exit.OP_MOV_FROM_CR2,
  3: exit.OP_MOV_FROM_CR3,
  4: exit.OP_MOV_FROM_CR4,
  8: exit.OP_MOV_FROM_CR8,
};

/** OP_* of a privileged operation and its operand; 0 of any other. */
export const privilegedOp = (op: Operation, vcpu: Vcpu): { op: number; operand: number } => {
  const { name, traits } = op.form.row;
  if (traits.privilege === undefined) return { op: 0, operand: 0 };
  if (traits.exit === 'io') return { op: BY_NAME.get(name)!, operand: ioOf(op, vcpu) };
  const to = op.operands[0]!;
  const from = op.operands[1]!;
  if (name !== 'mov') return { op: BY_NAME.get(name) ?? 0, operand: 0 };
  if (to.kind === 'control') return { op: TO_CONTROL[to.register]!, operand: general(from) };
  if (from.kind === 'control') return { op: FROM_CONTROL[from.register]!, operand: general(to) };
  if (to.kind === 'debug')
    return { op: exit.OP_MOV_TO_DR, operand: (to.register << 4) | general(from) };
  return { op: exit.OP_MOV_FROM_DR, operand: (general(from) << 4) | general(to) };
};

const general = (o: Operand): number => ('register' in o ? o.register : 0);

/** IN, OUT, INS or OUTS as an access. */
export const ioOf = (op: Operation, vcpu: Vcpu): number => {
  const { name } = op.form.row;
  const isIn = name.startsWith('in');
  const [data, port] = isIn
    ? [op.operands[0]!, op.operands[1]!]
    : [op.operands[1]!, op.operands[0]!];
  const number = port.kind === 'immediate' ? Number(port.value) & 0xff : vcpu.lo(RDX << 3) & 0xffff;
  let flags = isIn ? IO_IN : 0;
  if (name.endsWith('s')) flags |= IO_STRING;
  if (op.repeat !== 0 && name.endsWith('s')) flags |= IO_REP;
  if (op.addressWidth !== 8) flags |= IO_ADDRESS32;
  if (data.kind === 'memory' && data.segment === 0x64) flags |= IO_FS;
  if (data.kind === 'memory' && data.segment === 0x65) flags |= IO_GS;
  return ioAccess(number, data.width, flags);
};
