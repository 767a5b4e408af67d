/**
 * Segment registers. In 64-bit mode only FS and GS have a base, and no segment has a limit; what is checked still is whether
 * a selector names something that may be loaded.
 * @source SDM vol. 2, MOV, POP, LAR, LSL, VERR; vol. 3, 5.7
 */
import {
  baseOf,
  type Descriptor,
  dplOf,
  isCode,
  isConforming,
  isPresent,
  isReadable,
  isSystem,
  isWritable,
  limitOf,
  typeOf,
} from '../descriptor.ts';
import { VECTOR_GP, VECTOR_NP, VECTOR_SS, VECTOR_UD } from '../exit.ts';
import { CS, DS, ES, FS, FS_BASE, GS, GS_BASE, LDTR, RSP, SS, TR, TR_BASE } from '../vcpu.ts';
import { type Act, type CodeControl, stored } from './code-control.ts';
import type { Operation } from './decoder.ts';
import { ZF } from './flags.ts';
import { Fault } from './state.ts';

/** As instructions number them. */
const FIELDS = [ES, CS, SS, DS, FS, GS] as const;
const SEGMENT_CS = 1;
const SEGMENT_SS = 2;
const SEGMENT_FS = 4;
const SEGMENT_GS = 5;

/** System types that LAR and LSL know: LDT, TSS available and busy, and LAR call gates. */
const WITH_LIMIT: readonly number[] = [2, 9, 11];
const TSS_TYPES: readonly number[] = [9, 11];
const LDT_TYPE = 2;
const CALL_GATE = 12;
const ACCESS_RIGHTS = 0xf0ff00;

const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

/** What `selector` names. @throws Fault #GP when it names nothing */
export const descriptorOf = (cpu: CodeControl, selector: number): Descriptor => {
  const found = isNull(selector) ? undefined : cpu.underneath.descriptor(cpu.vcpu, selector);
  if (!found) throw new Fault(VECTOR_GP, selector & 0xfffc);
  return found;
};

/** May SS be `selector` at privilege level `cpl`? @throws Fault */
export const checkStack = (cpu: CodeControl, selector: number, cpl: number): void => {
  if (isNull(selector)) {
    if (cpl === 3 || (selector & 3) !== cpl) throw new Fault(VECTOR_GP);
    return;
  }
  const d = descriptorOf(cpu, selector);
  if ((selector & 3) !== cpl || dplOf(d) !== cpl || !isWritable(d))
    throw new Fault(VECTOR_GP, selector & 0xfffc);
  if (!isPresent(d)) throw new Fault(VECTOR_SS, selector & 0xfffc);
};

const loadSegment = (cpu: CodeControl, segment: number, selector: number): void => {
  const { vcpu } = cpu;
  if (segment === SEGMENT_CS) throw new Fault(VECTOR_UD);
  let base = 0; // of a null selector, too: so Intel's processors have it
  if (segment === SEGMENT_SS) {
    checkStack(cpu, selector, vcpu.cpl);
  } else if (!isNull(selector)) {
    const d = descriptorOf(cpu, selector);
    if (!isReadable(d) || !(isConforming(d) || dplOf(d) >= Math.max(vcpu.cpl, selector & 3)))
      throw new Fault(VECTOR_GP, selector & 0xfffc);
    if (!isPresent(d)) throw new Fault(VECTOR_NP, selector & 0xfffc);
    base = baseOf(d);
  }
  vcpu.set(FIELDS[segment]!, selector);
  if (segment === SEGMENT_FS) vcpu.set(FS_BASE, base);
  if (segment === SEGMENT_GS) vcpu.set(GS_BASE, base);
};

/** MOV from and to a segment register. */
const move = (cpu: CodeControl, op: Operation): void => {
  const { vcpu, operands } = cpu;
  const to = op.operands[0]!;
  const from = op.operands[1]!;
  if (to.kind === 'segment') {
    loadSegment(cpu, to.register, Number(operands.read(from)));
  } else if (from.kind === 'segment') {
    const selector = vcpu.getBig(FIELDS[from.register]!);
    operands.write(stored(to), selector);
  }
  cpu.next(op);
};

/** By the opcode of PUSH, which is even, and POP. */
const BY_OPCODE: Readonly<Record<number, number>> = {
  ...{ 6: 0, 14: SEGMENT_CS, 22: SEGMENT_SS, 30: 3, 160: SEGMENT_FS, 168: SEGMENT_GS },
};

/** PUSH and POP. */
const stack = (cpu: CodeControl, op: Operation, push: boolean): void => {
  const { vcpu, operands } = cpu;
  const { width } = op;
  const segment = BY_OPCODE[op.form.opcode & ~1]!;
  const sp = operands.getStack(RSP);
  if (push) {
    const to = sp - BigInt(width);
    operands.store(width, to, vcpu.getBig(FIELDS[segment]!));
    operands.setStack(RSP, to);
  } else {
    const selector = operands.load(width, sp);
    loadSegment(cpu, segment, Number(selector & 0xffffn));
    operands.setStack(RSP, sp + BigInt(width));
  }
  cpu.next(op);
};

const POINTERS: Readonly<Record<string, number>> = {
  ...{ les: 0, lss: SEGMENT_SS, lds: 3, lfs: SEGMENT_FS, lgs: SEGMENT_GS },
};

/** LES and the like: a far pointer. */
const loadPointer = (cpu: CodeControl, op: Operation, segment: number): void => {
  const { operands } = cpu;
  const words = operands.readBlock(op.operands[1]!, 2, op.width / 2 + 1);
  loadSegment(cpu, segment, Number(words.pop()));
  operands.write(
    op.operands[0]!,
    words.reduceRight((sum, word) => (sum << 16n) | word, 0n),
  );
  cpu.next(op);
};

/** LAR, LSL, VERR, VERW: ask about a selector; ZF answers. */
const ask = (cpu: CodeControl, op: Operation): void => {
  const { vcpu, operands } = cpu;
  const { name } = op.form.row;
  const named = op.operands[op.operands.length - 1]!;
  const selector = Number(operands.read(named));
  const d = isNull(selector) ? undefined : cpu.underneath.descriptor(vcpu, selector);
  const visible =
    d !== undefined && (isConforming(d) || dplOf(d) >= Math.max(vcpu.cpl, selector & 3));
  const answer = visible ? answerOf(name, d) : undefined;
  if (answer !== undefined && op.operands.length === 2)
    operands.write(op.operands[0]!, BigInt(answer));
  operands.setFlags([[ZF, answer === undefined ? 0n : 1n]]);
  cpu.next(op);
};

const answerOf = (name: string, d: Descriptor): number | undefined => {
  const type = typeOf(d);
  switch (name) {
    case 'lar':
      if (isSystem(d) && !WITH_LIMIT.includes(type) && type !== CALL_GATE) return undefined;
      return d.hi & ACCESS_RIGHTS;
    case 'lsl':
      return isSystem(d) && !WITH_LIMIT.includes(type) ? undefined : limitOf(d);
    case 'verr':
      return isReadable(d) ? 1 : undefined;
    default:
      return isWritable(d) ? 1 : undefined;
  }
};

/** SLDT and STR: as MOV from a segment register. */
const store = (cpu: CodeControl, op: Operation, field: number): void => {
  const to = op.operands[0]!;
  cpu.operands.write(stored(to), cpu.vcpu.getBig(field));
  cpu.next(op);
};

/** LLDT and LTR, which only level 0 executes. */
const loadSystem = (cpu: CodeControl, op: Operation, field: number): void => {
  const { vcpu } = cpu;
  const selector = Number(cpu.operands.read(op.operands[0]!));
  if (field === TR || !isNull(selector)) {
    const d = descriptorOf(cpu, selector);
    const types = field === TR ? TSS_TYPES : [LDT_TYPE];
    if ((selector & 4) !== 0 || !isSystem(d) || !types.includes(typeOf(d)))
      throw new Fault(VECTOR_GP, selector & 0xfffc);
    if (!isPresent(d)) throw new Fault(VECTOR_NP, selector & 0xfffc);
    // A system descriptor has sixteen bytes: the last half of its base is in the next entry.
    const upper = cpu.underneath.descriptor(vcpu, selector + 8);
    if (field === TR) vcpu.setHalves(TR_BASE, baseOf(d), upper?.lo ?? 0);
  }
  vcpu.set(field, selector);
  cpu.nextPrivileged(op);
};

/** Everything about segments, by name. */
export const segment: Act = (cpu, op) => {
  const { name } = op.form.row;
  const pointed = POINTERS[name];
  if (pointed !== undefined) return loadPointer(cpu, op, pointed);
  switch (name) {
    case 'mov':
      return move(cpu, op);
    case 'push':
      return stack(cpu, op, true);
    case 'pop':
      return stack(cpu, op, false);
    case 'sldt':
      return store(cpu, op, LDTR);
    case 'str':
      return store(cpu, op, TR);
    case 'lldt':
      return loadSystem(cpu, op, LDTR);
    case 'ltr':
      return loadSystem(cpu, op, TR);
    default:
      return ask(cpu, op);
  }
};

/** A selector for CS that control may go to at level `cpl`; `same` unless it may be an outer one. @throws Fault */
export const checkCode = (cpu: CodeControl, selector: number, level: number): Descriptor => {
  const d = descriptorOf(cpu, selector);
  const allowed = isCode(d) && (isConforming(d) ? dplOf(d) <= level : dplOf(d) === level);
  if (!allowed) throw new Fault(VECTOR_GP, selector & 0xfffc);
  if (!isPresent(d)) throw new Fault(VECTOR_NP, selector & 0xfffc);
  return d;
};
