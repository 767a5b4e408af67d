/**
 * Transfers of control that are not jumps within a segment: system calls, INT, IRET, far RET, JMP and CALL.
 * @source SDM vol. 2
 */
import { CAUSE_SYSCALL } from '../account.ts';
import { codeMode } from '../descriptor.ts';
import { CONTROL_SYSCALL, EXIT_SYSCALL, EXIT_SYSENTER, VECTOR_GP, VECTOR_UD } from '../exit.ts';
import { softwareInterrupt } from '../leave.ts';
import { hasSyscall, interruptReturn, systemCall, systemReturn } from '../transfer.ts';
import {
  type CodeMode,
  CS,
  EXIT_REASON,
  R11,
  RCX,
  RFLAGS,
  RFLAGS_IF,
  RSP,
  SS,
  SYSENTER_CS,
  SYSENTER_EIP,
  SYSENTER_ESP,
} from '../vcpu.ts';
import type { Width } from './builder.ts';
import type { Act, CodeControl } from './code-control.ts';
import { checkCode, checkStack, segment } from './code-segments.ts';
import type { Operation } from './decoder.ts';
import { NT, RF, VM } from './flags.ts';
import { Fault, isCanonical } from './state.ts';
import { signedNumber } from './vcpu-memory.ts';

const syscall: Act = (cpu, op) => {
  const { vcpu, underneath, machine } = cpu;
  if (!hasSyscall(vcpu)) throw new Fault(VECTOR_UD);
  if (!cpu.exits(CONTROL_SYSCALL)) {
    vcpu.pcpu.charge(CAUSE_SYSCALL, machine.costs.syscall / 2);
    systemCall(vcpu, vcpu.rip + op.length);
    return;
  }
  // It traps: whoever takes it finds RIP past it. Its operands are registers, so the record is the reason alone.
  cpu.next(op);
  vcpu.setGpr(RCX, vcpu.rip);
  vcpu.setGpr(R11, vcpu.lo(RFLAGS));
  vcpu.setHalves(EXIT_REASON, EXIT_SYSCALL, 0);
  underneath.exit(vcpu);
};

const sysenter: Act = (cpu, op) => {
  const { vcpu } = cpu;
  if (cpu.exits(CONTROL_SYSCALL)) {
    cpu.leave(op, EXIT_SYSENTER);
    return;
  }
  const cs = vcpu.lo(SYSENTER_CS) & 0xfffc;
  if (cs === 0) throw new Fault(VECTOR_GP);
  vcpu.pcpu.charge(CAUSE_SYSCALL, cpu.machine.costs.syscall / 2);
  vcpu.setHalves(RFLAGS, vcpu.lo(RFLAGS) & ~(RFLAGS_IF | VM), 0);
  vcpu.setCode(cs);
  vcpu.set(SS, cs + 8);
  vcpu.cpl = 0;
  vcpu.selectTlb(0);
  vcpu.setGpr(RSP, vcpu.get(SYSENTER_ESP));
  vcpu.rip = vcpu.get(SYSENTER_EIP);
};

const sysret: Act = (cpu, op) => {
  const { vcpu } = cpu;
  if (!hasSyscall(vcpu)) throw new Fault(VECTOR_UD);
  const long = op.width === 8;
  if (long && !isCanonical(vcpu.getBig(RCX << 3))) throw new Fault(VECTOR_GP);
  vcpu.pcpu.charge(CAUSE_SYSCALL, cpu.machine.costs.syscall / 2);
  const rip = long ? vcpu.gpr(RCX) : vcpu.lo(RCX << 3);
  systemReturn(vcpu, rip, vcpu.lo(R11 << 3), long ? 64 : 32);
  cpu.window = (vcpu.lo(RFLAGS) & RFLAGS_IF) !== 0;
};

const int: Act = ({ machine, underneath, vcpu, operands }, op) => {
  softwareInterrupt(machine, underneath, vcpu, op.length, Number(operands.read(op.operands[0]!)));
};

/** The words on the stack, from the top. */
const popped = ({ operands }: CodeControl, w: Width, count: number): bigint[] => {
  const sp = operands.getStack(RSP);
  return Array.from({ length: count }, (_, i) => operands.load(w, sp + BigInt(i * w)));
};

const iret: Act = (cpu, op) => {
  const { vcpu } = cpu;
  if ((vcpu.lo(RFLAGS) & NT) !== 0) throw new Fault(VECTOR_GP);
  const { width } = op;
  const [rip, word, rflags] = popped(cpu, width, 3);
  const cs = Number(word! & 0xffffn);
  // Within a level only 64-bit mode pops a stack.
  const whole = op.mode === 64 || (cs & 3) > vcpu.cpl;
  const stack = whole ? popped(cpu, width, 5).slice(3) : [];
  const [rsp = cpu.operands.getStack(RSP) + BigInt(3 * width), ss = vcpu.getBig(SS)] = stack;
  returnTo(cpu, rip!, cs, Number(rflags! & 0xffffffffn), { rsp, ss: Number(ss & 0xffffn) });
};

/** Return to a segment of this level or an outer one. */
const returnTo = (
  cpu: CodeControl,
  rip: bigint,
  cs: number,
  rflags: number,
  stack: { rsp: bigint; ss: number },
): void => {
  const { vcpu } = cpu;
  const level = cs & 3;
  if (level < vcpu.cpl) throw new Fault(VECTOR_GP, cs & 0xfffc);
  const mode = goTo(cpu, cs, level, rip);
  checkStack(cpu, stack.ss, level);
  cpu.window = interruptReturn(vcpu, {
    rip: signedNumber(rip),
    cs,
    rflags,
    rsp: signedNumber(stack.rsp),
    ss: stack.ss,
    mode,
  });
};

/** May control go to `rip` in segment `cs` at `level`? @returns the mode of the code there. @throws Fault */
const goTo = (cpu: CodeControl, cs: number, level: number, rip: bigint): CodeMode => {
  const mode = codeMode(checkCode(cpu, cs, level));
  const beyond = mode === 64 ? !isCanonical(rip) : rip >= 1n << 32n;
  if (beyond) throw new Fault(VECTOR_GP);
  return mode;
};

const farReturn = (cpu: CodeControl, op: Operation): void => {
  const { vcpu, operands } = cpu;
  const [extra] = op.operands;
  const more = extra === undefined ? 0n : operands.read(extra) & 0xffffn;
  const [rip, word] = popped(cpu, op.width, 2);
  const cs = Number(word! & 0xffffn);
  const sp = operands.getStack(RSP) + BigInt(2 * op.width) + more;
  if ((cs & 3) > vcpu.cpl) {
    const rsp = operands.load(op.width, sp);
    const ss = operands.load(op.width, sp + BigInt(op.width));
    const stack = { rsp: BigInt.asUintN(64, rsp + more), ss: Number(ss & 0xffffn) };
    returnTo(cpu, rip!, cs, vcpu.lo(RFLAGS) & ~RF, stack);
    return;
  }
  if ((cs & 3) < vcpu.cpl) throw new Fault(VECTOR_GP, cs & 0xfffc);
  const mode = goTo(cpu, cs, vcpu.cpl, rip!);
  operands.setStack(RSP, sp);
  vcpu.setCode(cs, mode);
  vcpu.rip = signedNumber(rip!);
};

/** Where a far JMP or CALL goes: its operand in memory, or in compatibility mode an immediate. */
const farPointer = (
  { operands }: CodeControl,
  op: Operation,
): readonly [rip: bigint, selector: number] => {
  const [first, second] = op.operands;
  if (second !== undefined) return [operands.read(first!), Number(operands.read(second))];
  const words = operands.readBlock(first!, 2, op.width / 2 + 1);
  const rip = words.slice(0, -1).reduceRight((sum, word) => (sum << 16n) | word, 0n);
  return [rip, Number(words[words.length - 1])];
};

/** Far RET, JMP and CALL; there are no gates to go through. */
const far: Act = (cpu, op) => {
  if (op.form.row.name === 'retf') {
    farReturn(cpu, op);
    return;
  }
  const { vcpu, operands } = cpu;
  const [rip, selector] = farPointer(cpu, op);
  if ((selector & 3) > vcpu.cpl && (selector & 0xfffc) !== 0)
    throw new Fault(VECTOR_GP, selector & 0xfffc);
  const mode = goTo(cpu, selector, vcpu.cpl, rip);
  if (op.form.row.name === 'callf') {
    const sp = operands.getStack(RSP) - BigInt(2 * op.width);
    operands.storeBlock(op.width, sp, [operands.next(), vcpu.getBig(CS)]);
    operands.setStack(RSP, sp);
  }
  vcpu.setCode((selector & 0xfffc) | vcpu.cpl, mode);
  vcpu.rip = signedNumber(rip);
};

export const transferActs: ReadonlyArray<readonly [reason: string, act: Act]> = [
  ['syscall', syscall],
  ['sysenter', sysenter],
  ['sysret', sysret],
  ['interrupt', int],
  ['iret', iret],
  ['far', far],
  ['segment', segment],
];
