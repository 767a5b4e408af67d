import { describe, expect, it } from 'vitest';
import { EFAULT, EINVAL, ENODATA, ENOSYS, EPERM } from '../../protocol/errno.ts';
import { __HYPERVISOR_xen_version } from '../../protocol/hypercalls.ts';
import {
  XENFEAT_auto_translated_physmap,
  XENFEAT_direct_mapped,
  XENFEAT_dom0,
  XENFEAT_writable_page_tables,
  XENVER_build_id,
  XENVER_capabilities,
  XENVER_changeset,
  XENVER_commandline,
  XENVER_compile_info,
  XENVER_extraversion,
  XENVER_get_features,
  XENVER_guest_handle,
  XENVER_pagesize,
  XENVER_platform_parameters,
  XENVER_version,
  XenFeatureInfo,
  XenPlatformParameters,
} from '../../protocol/version.ts';
import { HYPERVISOR_VIRT_START } from '../../protocol/xen.ts';
import { type RawGuest, runPv } from '../support/pv-fixture.ts';

const NR = __HYPERVISOR_xen_version;

const features = (guest: RawGuest): number =>
  guest.op(NR, XENVER_get_features, XenFeatureInfo, { submapIdx: 0, submap: 0 }).arg.submap;

describe('xen_version', () => {
  it('answers version and page size in RAX', async () => {
    const seen: number[] = [];
    await runPv(({ cpu }) => {
      seen.push(cpu.syscall(NR, XENVER_version, 0), cpu.syscall(NR, XENVER_pagesize, 0));
    });
    expect(seen).toEqual([0x40011, 4096]);
  });

  it.each([
    ['extraversion', XENVER_extraversion, 16, '.0-hospes'],
    ['capabilities', XENVER_capabilities, 1024, 'xen-3.0-x86_64 hvm-3.0-x86_64'],
    ['changeset', XENVER_changeset, 64, ''],
    ['commandline', XENVER_commandline, 1024, '<denied>'],
    ['compile_info', XENVER_compile_info, 144, 'TypeScript'],
  ])(
    'pads %s with zeros to its full size and writes no byte beyond',
    async (_name, cmd, length, text) => {
      const bytes = new Uint8Array(length + 1);
      await runPv((guest) => {
        const va = guest.page();
        guest.cpu.fillBytes(va, 2048, 0xee);
        guest.cpu.syscall(NR, cmd, va);
        guest.cpu.loadBytes(va, bytes);
      });
      expect(String.fromCharCode(...bytes.subarray(0, text.length))).toBe(text);
      expect(bytes[text.length]).toBe(0);
      expect(bytes.subarray(0, length)).not.toContain(0xee);
      expect(bytes[length]).toBe(0xee);
    },
  );

  it('shows a PV guest no feature that it lacks, and domain 0 that it is that', async () => {
    let map = 0;
    let privileged = 0;
    await runPv((guest) => {
      map = features(guest);
    });
    await runPv(
      (guest) => {
        privileged = features(guest);
      },
      { privileged: true },
    );
    expect(map & (1 << XENFEAT_direct_mapped)).not.toBe(0);
    expect(
      map & ((1 << XENFEAT_writable_page_tables) | (1 << XENFEAT_auto_translated_physmap)),
    ).toBe(0);
    expect(privileged ^ map).toBe(1 << XENFEAT_dom0);
  });

  it('tells where Xen begins, and the id in the handle', async () => {
    let start = 0;
    const handle = new Uint8Array(16);
    await runPv((guest) => {
      const va = guest.page();
      guest.cpu.syscall(NR, XENVER_platform_parameters, va);
      start = guest.get(XenPlatformParameters, va).virtStart;
      guest.cpu.syscall(NR, XENVER_guest_handle, va);
      guest.cpu.loadBytes(va, handle);
    });
    expect(start).toBe(HYPERVISOR_VIRT_START);
    expect(handle[15]).toBe(1);
  });

  it.each([
    ['an unknown command', 11, ENOSYS],
    ['the build id', XENVER_build_id, EPERM],
    ['an argument of the page size', XENVER_pagesize, EINVAL],
    ['an unwritable buffer', XENVER_changeset, EFAULT],
    ['an unreadable struct', XENVER_get_features, EFAULT],
  ])('refuses %s', async (_case, cmd, errno) => {
    let result = 0;
    const { host } = await runPv(({ cpu }) => {
      result = cpu.syscall(NR, cmd, 0x1000);
    });
    expect(result).toBe(-errno);
    expect(host.kinds('refuse')).toHaveLength(1);
  });

  it('has no build id for domain 0 either', async () => {
    let result = 0;
    await runPv(
      ({ cpu }) => {
        result = cpu.syscall(NR, XENVER_build_id, 0);
      },
      { privileged: true },
    );
    expect(result).toBe(-ENODATA);
  });

  it('refuses a submap that there is none of', async () => {
    let result = 0;
    await runPv((guest) => {
      result = guest.op(NR, XENVER_get_features, XenFeatureInfo, {
        submapIdx: 1,
        submap: 0,
      }).result;
    });
    expect(result).toBe(-EINVAL);
  });
});
