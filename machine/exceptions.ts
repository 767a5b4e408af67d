/**
 * Delivery through the IDT, as the processor does it in long mode (SDM vol. 3, 6.14): read the gate, switch to
 * RSP0 when coming from a less privileged level, push SS, RSP, RFLAGS, CS, RIP and the error code, go to the handler.
 */
import { EXIT_TRIPLE_FAULT, hasErrorCode, VECTOR_DF, VECTOR_GP } from './exit.ts';
import type { Mmu } from './mmu.ts';
import {
  CS,
  EXIT_REASON,
  IDTR_BASE,
  IDTR_LIMIT,
  RFLAGS,
  RFLAGS_IF,
  RIP,
  RSP,
  SS,
  TR_BASE,
  type Vcpu,
} from './vcpu.ts';

const GATE_BYTES = 16;
const GATE_PRESENT = 0x80;
const GATE_INTERRUPT = 0xe;
const GATE_TRAP = 0xf;
/** TF, NT, RF, VM: cleared on entry to a handler. */
const CLEARED_FLAGS = 0x100 | 0x4000 | 0x10000 | 0x20000;

const gate = new Uint8Array(GATE_BYTES);
const gateView = new DataView(gate.buffer);
const frame = new Uint8Array(48);
const frameView = new DataView(frame.buffer);
const rsp0 = new Uint8Array(8);
const rsp0View = new DataView(rsp0.buffer);

const signed64 = (view: DataView, at: number): number =>
  view.getInt32(at + 4, true) * 4294967296 + view.getUint32(at, true);

const put64 = (at: number, value: number): void => {
  frameView.setUint32(at, value >>> 0, true);
  frameView.setInt32(at + 4, Math.floor(value / 4294967296), true);
};

/**
 * Deliver `vector` to the guest's own handler; `error` is pushed if the vector has an error code. `software`: the length of an
 * INT n, which the gate's DPL must allow and which is past when its handler returns. A delivery that fails becomes #DF.
 * @returns false on a triple fault, with EXIT_TRIPLE_FAULT in the exit record.
 */
export const deliver = (
  mmu: Mmu,
  vcpu: Vcpu,
  vector: number,
  error = 0,
  software?: number,
): boolean => {
  const { rip } = vcpu;
  if (software !== undefined) vcpu.rip = rip + software;
  const failed = tryDeliver(mmu, vcpu, vector, error, software !== undefined);
  if (failed < 0) return true;
  vcpu.rip = rip;
  if (software !== undefined && tryDeliver(mmu, vcpu, VECTOR_GP, failed, false) < 0) return true;
  if (vector !== VECTOR_DF && tryDeliver(mmu, vcpu, VECTOR_DF, 0, false) < 0) return true;
  vcpu.setHalves(EXIT_REASON, EXIT_TRIPLE_FAULT, 0);
  return false;
};

/** @returns -1 when delivered, else the #GP error code that names the gate. */
const tryDeliver = (
  mmu: Mmu,
  vcpu: Vcpu,
  vector: number,
  error: number,
  software: boolean,
): number => {
  const selectorError = vector * 8 + 2;
  if (vector * GATE_BYTES + GATE_BYTES - 1 > vcpu.get(IDTR_LIMIT)) return selectorError;
  const { cpl } = vcpu;
  const pair = vcpu.tlbSelected;
  vcpu.cpl = 0;
  vcpu.selectTlb(0);
  const delivered =
    readGate(mmu, vcpu, vector, software ? cpl : -1) && push(mmu, vcpu, vector, error, cpl);
  if (!delivered) {
    vcpu.cpl = cpl;
    vcpu.selectTlb(pair);
    return selectorError;
  }
  return -1;
};

/** Read and check the gate; `softwareCpl` is the level of an INT n, or -1. */
const readGate = (mmu: Mmu, vcpu: Vcpu, vector: number, softwareCpl: number): boolean => {
  if (!mmu.read(vcpu, vcpu.get(IDTR_BASE) + vector * GATE_BYTES, gate)) return false;
  const attributes = gate[5]!;
  const type = attributes & 0xf;
  if ((attributes & GATE_PRESENT) === 0 || (type !== GATE_INTERRUPT && type !== GATE_TRAP))
    return false;
  return ((attributes >> 5) & 3) >= softwareCpl;
};

/** Push the frame at CPL 0 and go to the gate's handler. */
const push = (mmu: Mmu, vcpu: Vcpu, vector: number, error: number, cpl: number): boolean => {
  let stack = vcpu.gpr(RSP);
  if (cpl !== 0) {
    if (!mmu.read(vcpu, vcpu.get(TR_BASE) + 4, rsp0)) return false;
    stack = signed64(rsp0View, 0);
  }
  stack -= stack & 15;
  const words = hasErrorCode(vector) ? 6 : 5;
  let at = 0;
  if (words === 6) {
    put64(at, error);
    at += 8;
  }
  put64(at, vcpu.rip);
  put64(at + 8, vcpu.get(CS));
  put64(at + 16, vcpu.get(RFLAGS));
  put64(at + 24, vcpu.gpr(RSP));
  put64(at + 32, vcpu.get(SS));
  if (!mmu.write(vcpu, stack - words * 8, words === 6 ? frame : frame.subarray(0, 40)))
    return false;

  vcpu.setGpr(RSP, stack - words * 8);
  vcpu.setCode(gateView.getUint16(2, true));
  if (cpl !== 0) vcpu.set(SS, 0);
  const masked = (gate[5]! & 0xf) === GATE_INTERRUPT ? RFLAGS_IF : 0;
  vcpu.setHalves(RFLAGS, vcpu.lo(RFLAGS) & ~(CLEARED_FLAGS | masked), 0);
  vcpu.setHalves(
    RIP,
    gateView.getUint16(0, true) | (gateView.getUint16(6, true) << 16),
    gateView.getUint32(8, true),
  );
  return true;
};
