/** What a running PV kernel meets when it touches its tables without asking. */
import { describe, expect, it } from 'vitest';
import { EBUSY } from '../../protocol/errno.ts';
import { __HYPERVISOR_update_va_mapping } from '../../protocol/hypercalls.ts';
import { MACH2PHYS_VIRT_START, UVMF_INVLPG } from '../../protocol/xen.ts';
import { type RawGuest, runPv } from '../support/pv-fixture.ts';

/** Run `access`; the error code and address of the #PF that it raised, or undefined. */
const faultOf = (guest: RawGuest, access: () => void): number | undefined => {
  let code: number | undefined;
  guest.trap(14, () => {
    code = guest.cpu.loadNumber(guest.cpu.reg(4) + 16);
    guest.iret(true);
    throw new Error('fault');
  });
  try {
    access();
  } catch (error) {
    if ((error as Error).message !== 'fault') throw error;
  }
  return code;
};

const WRITE_TO_PRESENT = 3;

describe('a PV kernel', () => {
  it('cannot write its own page tables, nor map them writable', async () => {
    const seen: unknown[] = [];
    const { domain } = await runPv((guest) => {
      const { ptBase, nrPtFrames } = guest.start;
      for (let i = 0; i < nrPtFrames; i++) {
        const va = ptBase + i * 4096;
        seen.push(faultOf(guest, () => guest.cpu.store64(va, 7n)));
        const entry = BigInt(guest.mfn(va)) * 4096n + 0x63n;
        seen.push(guest.cpu.syscall(__HYPERVISOR_update_va_mapping, va, entry, UVMF_INVLPG));
      }
    });
    expect(seen).toEqual(Array.from({ length: 5 }, () => [WRITE_TO_PRESENT, -EBUSY]).flat());
    expect(domain.end?.outcome).toBe('poweroff');
  });

  it('reads the M2P, cannot write it, and faults beyond its end', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      const va = MACH2PHYS_VIRT_START + guest.mfn(guest.start.mfnList + 5 * 4096) * 8;
      seen.push(guest.cpu.loadNumber(va));
      seen.push(faultOf(guest, () => guest.cpu.store64(va, 0n)));
      seen.push(faultOf(guest, () => guest.cpu.load64(MACH2PHYS_VIRT_START + 0x2000000000)));
    });
    expect(seen).toEqual([5, WRITE_TO_PRESENT, 0]);
  });

  it('faults at once on a page that it unmapped, and finds its contents where it maps it next', async () => {
    const seen: unknown[] = [];
    await runPv((guest) => {
      const [page, other] = [guest.page(), guest.page()];
      const entry = BigInt(guest.mfn(page)) * 4096n + 0x63n;
      guest.cpu.store32(page, 77);
      guest.cpu.syscall(__HYPERVISOR_update_va_mapping, page, 0, 0);
      seen.push(faultOf(guest, () => guest.cpu.load32(page)));
      guest.cpu.syscall(__HYPERVISOR_update_va_mapping, other, entry, 0);
      seen.push(guest.cpu.load32(other));
    });
    expect(seen).toEqual([0, 77]);
  });
});
