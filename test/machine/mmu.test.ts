import { beforeEach, describe, expect, it } from 'vitest';
import { CAUSE_TLB_MISS, CAUSE_WALK } from '../../machine/account.ts';
import { VECTOR_GP, VECTOR_PF } from '../../machine/exit.ts';
import type { Machine } from '../../machine/machine.ts';
import { ACCESS_FETCH, ACCESS_READ, ACCESS_WRITE, FAULT_EPT } from '../../machine/page-walk.ts';
import { PTE_A, PTE_D, PTE_NX_HI, PTE_P, PTE_PS, PTE_RW, PTE_US } from '../../machine/pte.ts';
import { CR0, EFER, EPTP, type Vcpu } from '../../machine/vcpu.ts';
import { entryLo, flatMachine, pagingVcpu, setEntry } from '../support/machine-fixture.ts';

const VA = -0x7fffff000; // a kernel address with four different indices
const ALL = PTE_P | PTE_RW | PTE_US;

let machine: Machine;
let vcpu: Vcpu;

/** L4 in frame 1, L3 2, L2 3, L1 4, page 5. */
const map = (flags: number, high = 0, upper = ALL): void => {
  setEntry(machine, 1, VA, 4, 2, upper);
  setEntry(machine, 2, VA, 3, 3, upper);
  setEntry(machine, 3, VA, 2, 4, upper);
  setEntry(machine, 4, VA, 1, 5, flags, high);
};

const fault = (access: number): [number, number] | number => {
  const host = machine.mmu.probe(vcpu, VA + 0x123, access);
  return host < 0 ? [machine.mmu.faultVector, machine.mmu.faultCode] : host;
};

beforeEach(() => {
  machine = flatMachine();
  vcpu = pagingVcpu(machine);
});

describe('the four-level walk', () => {
  it('finds the frame and keeps the offset in the page', () => {
    map(ALL);
    expect(fault(ACCESS_READ)).toBe(machine.memory.frameAt(5) + 0x123);
  });

  it.each([1, 2, 3, 4])(
    'faults not-present at level %i with the P bit of the error code clear',
    (level) => {
      map(ALL);
      setEntry(machine, 5 - level, VA, level, 5, PTE_RW);
      expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 0]);
      expect(fault(ACCESS_WRITE)).toEqual([VECTOR_PF, 2]);
      vcpu.cpl = 3;
      expect(fault(ACCESS_WRITE)).toEqual([VECTOR_PF, 6]);
      expect(fault(ACCESS_FETCH)).toEqual([VECTOR_PF, 0x14]);
    },
  );

  it('sets accessed on every level, dirty only by a write', () => {
    map(ALL);
    machine.mmu.probe(vcpu, VA, ACCESS_READ);
    expect(
      [1, 2, 3, 4].map((table, i) => entryLo(machine, table, VA, 4 - i) & (PTE_A | PTE_D)),
    ).toEqual([PTE_A, PTE_A, PTE_A, PTE_A]);
    machine.mmu.probe(vcpu, VA, ACCESS_WRITE);
    expect(entryLo(machine, 4, VA, 1) & PTE_D).toBe(PTE_D);
    expect(entryLo(machine, 3, VA, 2) & PTE_D).toBe(0);
  });

  it('sets nothing in the leaf of an access that it denies', () => {
    map(PTE_P);
    expect(fault(ACCESS_WRITE)).toEqual([VECTOR_PF, 3]);
    expect(entryLo(machine, 4, VA, 1)).toBe((5 << 12) | PTE_P);
  });

  it('lets a supervisor write read-only pages only with CR0.WP clear', () => {
    map(PTE_P);
    vcpu.set(CR0, 0x80000033);
    expect(fault(ACCESS_WRITE)).toBe(machine.memory.frameAt(5) + 0x123);
    vcpu.cpl = 3;
    map(PTE_P | PTE_US);
    expect(fault(ACCESS_WRITE)).toEqual([VECTOR_PF, 7]);
  });

  it('keeps user code out of supervisor pages, whichever level says so', () => {
    vcpu.cpl = 3;
    map(PTE_P | PTE_RW);
    expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 5]);
    map(ALL, 0, PTE_P | PTE_RW);
    expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 5]);
  });

  it('refuses fetches from NX pages, and treats NX as reserved while EFER.NXE is clear', () => {
    map(ALL, PTE_NX_HI);
    expect(fault(ACCESS_FETCH)).toEqual([VECTOR_PF, 0x11]);
    expect(fault(ACCESS_READ)).toBe(machine.memory.frameAt(5) + 0x123);
    vcpu.set(EFER, 0x501);
    expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 9]);
  });

  it('reports a frame that does not exist, and PS in an L4 entry, as reserved bits', () => {
    map(ALL);
    setEntry(machine, 4, VA, 1, 1 << 22, ALL);
    expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 9]);
    setEntry(machine, 1, VA, 4, 2, ALL | PTE_PS);
    expect(fault(ACCESS_READ)).toEqual([VECTOR_PF, 9]);
  });

  it('maps 2 MiB pages', () => {
    machine = flatMachine(1024);
    vcpu = pagingVcpu(machine);
    map(ALL);
    setEntry(machine, 3, VA, 2, 512, ALL | PTE_PS);
    const page = Math.floor(VA / 4096) & 511;
    expect(fault(ACCESS_READ)).toBe(machine.memory.frameAt(512 + page) + 0x123);
  });

  it('raises #GP for a non-canonical address', () => {
    expect(machine.mmu.probe(vcpu, 0x800000000000, ACCESS_READ)).toBe(-1);
    expect(machine.mmu.faultVector).toBe(VECTOR_GP);
  });
});

describe('the two-dimensional walk', () => {
  /** Identity EPT for the first 64 guest frames: EPT tables in 40..43, every leaf with `rights`. */
  const ept = (rights: number): void => {
    setEntry(machine, 40, 0, 4, 41, 7);
    setEntry(machine, 41, 0, 3, 42, 7);
    setEntry(machine, 42, 0, 2, 43, 7);
    for (let gfn = 0; gfn < 40; gfn++) setEntry(machine, 43, gfn * 4096, 1, gfn, rights);
    vcpu.set(EPTP, 40);
  };

  it('takes 24 references for four levels by four', () => {
    map(ALL);
    ept(7);
    const { account } = vcpu.pcpu;
    account.reset();
    expect(machine.mmu.translate(vcpu, VA, ACCESS_READ)).toBe(machine.memory.frameAt(5));
    expect(account.count[CAUSE_WALK]).toBe(24);
    expect(account.count[CAUSE_TLB_MISS]).toBe(1);
  });

  it('tells an EPT violation: the address, what was tried, what is allowed', () => {
    map(ALL);
    ept(7);
    setEntry(machine, 43, 5 * 4096, 1, 5, 1);
    expect(machine.mmu.probe(vcpu, VA + 8, ACCESS_WRITE)).toBe(-1);
    expect(machine.mmu.faultVector).toBe(FAULT_EPT);
    expect(machine.mmu.faultGpa).toBe(5 * 4096 + 8);
    expect(machine.mmu.faultCode).toBe(0x18a); // write; readable; linear address valid; the access itself
    expect(machine.mmu.probe(vcpu, VA, ACCESS_READ)).toBe(machine.memory.frameAt(5));
  });

  it('says when it was a table of the guest that is missing', () => {
    map(ALL);
    ept(7);
    setEntry(machine, 43, 3 * 4096, 1, 3, 0);
    expect(machine.mmu.probe(vcpu, VA, ACCESS_READ)).toBe(-1);
    expect(Math.floor(machine.mmu.faultGpa / 4096)).toBe(3);
    expect(machine.mmu.faultCode & 0x100).toBe(0);
  });
});

describe('copies for a hypervisor', () => {
  it.each([2 ** 60, 2 ** 62 + 4096, -(2 ** 63)])(
    'refuse %d, so far out that adding a few bytes does not change it',
    (va) => {
      expect(machine.mmu.write(vcpu, va, new Uint8Array(40))).toBe(false);
      expect(machine.mmu.read(vcpu, va, new Uint8Array(40))).toBe(false);
    },
  );

  it('cross pages, and write nothing unless all of it can be written', () => {
    map(ALL);
    setEntry(machine, 4, VA + 4096, 1, 6, PTE_P);
    const bytes = new Uint8Array([1, 2, 3, 4]);
    expect(machine.mmu.write(vcpu, VA + 4094, bytes)).toBe(false);
    expect(machine.memory.frame(5)[4094]).toBe(0);
    setEntry(machine, 4, VA + 4096, 1, 6, ALL);
    expect(machine.mmu.write(vcpu, VA + 4094, bytes)).toBe(true);
    const back = new Uint8Array(4);
    expect(machine.mmu.read(vcpu, VA + 4094, back)).toBe(true);
    expect(back).toEqual(bytes);
    expect(machine.memory.frame(6)[1]).toBe(4);
  });
});
