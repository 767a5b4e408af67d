/**
 * An I/O instruction in one word, as a VM exit's qualification has it; what a VMCS puts into the instruction information
 * (address size, segment) is in bits that are reserved there. And how its data moves, whoever's ports they are.
 *
 *     31 .... 16  15..10  9    8    7       6  5    4       3   2  0
 *     port                :GS  :FS  addr32     REP  string  in  size - 1
 *
 * @source SDM vol. 3, table 28-5; vol. 2, INS and OUTS
 */
import type { Mmu } from './mmu.ts';
import { ACCESS_READ, ACCESS_WRITE } from './page-walk.ts';
import { FS_BASE, GS_BASE, RAX, RCX, RDI, RFLAGS, RSI, type Vcpu } from './vcpu.ts';

export const IO_IN = 8;
export const IO_STRING = 16;
export const IO_REP = 32;
export const IO_ADDRESS32 = 128;
export const IO_FS = 256;
export const IO_GS = 512;

const DIRECTION_FLAG = 0x400;

export const ioAccess = (port: number, size: number, flags: number): number =>
  ((port << 16) | flags | (size - 1)) >>> 0;

export const ioPort = (access: number): number => access >>> 16;

export const ioSize = (access: number): number => (access & 7) + 1;

/** All bits of an access of `size` bytes: what a port reads where no device is. */
export const ones = (size: number): number =>
  size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;

/** IN's result: 32 bits clear the upper half of RAX; narrower ones leave the rest of it alone. */
export const setIn = (vcpu: Vcpu, size: number, value: number): void => {
  const rax = RAX << 3;
  if (size === 4) vcpu.setHalves(rax, value, 0);
  else vcpu.setHalves(rax, ((vcpu.lo(rax) & ~ones(size)) | value) >>> 0, vcpu.hi(rax));
};

/** OUT's value. */
export const outValue = (vcpu: Vcpu, size: number): number =>
  (vcpu.lo(RAX << 3) & ones(size)) >>> 0;

/** The ports that an access goes to. */
export interface Ports {
  read(port: number, size: number): number;
  write(port: number, size: number, value: number): void;
  /** Another element of a string was moved. @returns true when no more are to be, for now */
  moved(): boolean;
}

const word = new Uint8Array(4);
const wordView = new DataView(word.buffer);

/**
 * INS and OUTS, element by element; without REP one. What is left stands in RCX. @returns undefined when all is done or
 * `moved` stopped it, or the address where the memory may not be accessed: why is in the MMU
 */
export const moveString = (
  mmu: Mmu,
  vcpu: Vcpu,
  access: number,
  ports: Ports,
): number | undefined => {
  const [port, size, isIn] = [ioPort(access), ioSize(access), (access & IO_IN) !== 0];
  const pointer = isIn ? RDI : RSI;
  const step = vcpu.lo(RFLAGS) & DIRECTION_FLAG ? -size : size;
  const bytes = word.subarray(0, size);
  let count = access & IO_REP ? index(vcpu, access, RCX) : 1;
  for (; count > 0; count--) {
    const va = index(vcpu, access, pointer) + segmentBase(vcpu, access);
    const refused = refusal(mmu, vcpu, va, size, isIn ? ACCESS_WRITE : ACCESS_READ);
    if (refused !== undefined) return refused;
    if (isIn) {
      wordView.setUint32(0, ports.read(port, size), true);
      mmu.write(vcpu, va, bytes);
    } else {
      mmu.read(vcpu, va, bytes);
      ports.write(port, size, (wordView.getUint32(0, true) & ones(size)) >>> 0);
    }
    setIndex(vcpu, access, pointer, index(vcpu, access, pointer) + step);
    if (access & IO_REP) setIndex(vcpu, access, RCX, count - 1);
    if (ports.moved()) return undefined;
  }
  return undefined;
};

const index = (vcpu: Vcpu, access: number, register: number): number =>
  access & IO_ADDRESS32 ? vcpu.lo(register << 3) : vcpu.gpr(register);

const setIndex = (vcpu: Vcpu, access: number, register: number, value: number): void => {
  if (access & IO_ADDRESS32) vcpu.setHalves(register << 3, value >>> 0, 0);
  else vcpu.setGpr(register, value);
};

const segmentBase = (vcpu: Vcpu, access: number): number =>
  access & IO_FS ? vcpu.get(FS_BASE) : access & IO_GS ? vcpu.get(GS_BASE) : 0;

/** Both ends: an element may cross into a page that is not there. */
const refusal = (
  mmu: Mmu,
  vcpu: Vcpu,
  va: number,
  size: number,
  access: number,
): number | undefined => {
  if (mmu.probe(vcpu, va, access) < 0) return va;
  return mmu.probe(vcpu, va + size - 1, access) < 0 ? va + size - 1 : undefined;
};
