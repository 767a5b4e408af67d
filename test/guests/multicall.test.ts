/**
 * A multicall does its calls in order and gives each its own result.
 *
 * - calls that fail do not stop those after them
 * - more calls than one batch holds; none at all
 * - a list that cannot be read is -EFAULT; a multicall within one is refused
 */
import { describe, expect } from 'vitest';
import { EINVAL, ENOSYS } from '../../protocol/errno.ts';
import * as nr from '../../protocol/hypercalls.ts';
import { XENVER_version } from '../../protocol/version.ts';
import { UVMF_INVLPG } from '../../protocol/xen.ts';
import { guestTest, PV } from '../support/guests.ts';

const NOWHERE = 0x700000000000;
const VA = 0x40000000;

describe('a multicall', () => {
  guestTest('does each call and gives each its result', PV, async (k) => {
    const xen = k.xen!;
    const version = xen.version();
    const space = k.newAddressSpace();
    const [one, two] = [k.frames.alloc(), k.frames.alloc()];
    space.map(VA, one, { write: true });
    space.activate();
    k.cpu.store32(k.virt(two), 2222);
    const ask = { op: nr.__HYPERVISOR_xen_version, args: [XENVER_version, 0] };
    const results = xen.memory.multicall([
      ask,
      { op: 63, args: [] },
      {
        op: nr.__HYPERVISOR_update_va_mapping,
        args: [VA, k.machineFrame(two) * 4096 + 0x63, UVMF_INVLPG],
      },
      { op: nr.__HYPERVISOR_update_va_mapping, args: [NOWHERE, 0, 0] },
      ask,
    ]);
    expect(results).toEqual([version, -ENOSYS, 0, -EINVAL, version]);
    expect(k.cpu.load32(VA)).toBe(2222);
  });

  guestTest('may have any number of calls', PV, async (k) => {
    const xen = k.xen!;
    const version = xen.version();
    const ask = { op: nr.__HYPERVISOR_xen_version, args: [XENVER_version, 0] };
    expect(xen.memory.multicall([])).toEqual([]);
    const many = xen.memory.multicall(Array.from({ length: 100 }, () => ask));
    expect(many).toEqual(Array.from({ length: 100 }, () => version));
  });

  guestTest('is refused when its list cannot be read, or in itself', PV, async (k) => {
    const xen = k.xen!;
    expect(xen.hypercall(nr.__HYPERVISOR_multicall, NOWHERE, 1)).toBeLessThan(0);
    const nested = { op: nr.__HYPERVISOR_multicall, args: [NOWHERE, 1] };
    expect(xen.memory.multicall([nested])[0]).toBeLessThan(0);
  });
});
