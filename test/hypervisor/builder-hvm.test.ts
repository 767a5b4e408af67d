import { describe, expect, it } from 'vitest';
import { buildHvm } from '../../hypervisor/builder-hvm.ts';
import { Domain } from '../../hypervisor/domain.ts';
import { XenVcpu } from '../../hypervisor/xen-vcpu.ts';
import { CR3, EPTP, RBX } from '../../machine/vcpu.ts';
import {
  HvmMemmapTableEntry,
  HvmStartInfo,
  XEN_HVM_START_MAGIC_VALUE,
} from '../../protocol/hvm-start-info.ts';
import { fixture } from './memory-fixture.ts';

const setting = (pages = 512) => {
  const base = fixture();
  const domain = new Domain(3, 'hvm', 'test', false);
  const vcpu = new XenVcpu(domain, 0, base.machine.allocateVcpu());
  domain.vcpus.push(vcpu);
  const before = base.frames.free;
  const build = () => {
    const boot = buildHvm(base.xen, domain, { pages, cmdline: 'a b' });
    vcpu.arch.set(EPTP, boot.eptpMfn);
    return boot;
  };
  const read = (va: number, length: number): DataView => {
    const bytes = new Uint8Array(length);
    expect(base.machine.mmu.read(vcpu.arch, va, bytes)).toBe(true);
    return new DataView(bytes.buffer);
  };
  return { ...base, domain, vcpu, before, build, read };
};

describe('buildHvm', () => {
  it('leaves hvm_start_info where RBX points, reached through both dimensions', () => {
    const { build, read, vcpu } = setting();
    const { startInfo, cr3 } = build();
    expect([vcpu.arch.gpr(RBX), vcpu.arch.get(CR3)]).toEqual([startInfo, cr3]);
    const info = HvmStartInfo.get(read(startInfo, HvmStartInfo.size));
    expect(info).toMatchObject({ magic: XEN_HVM_START_MAGIC_VALUE, version: 1, memmapEntries: 2 });
    const ram = HvmMemmapTableEntry.get(
      read(startInfo + info.memmapPaddr + HvmMemmapTableEntry.size, HvmMemmapTableEntry.size),
    );
    expect([ram.addr + ram.size, ram.type]).toEqual([512 * 4096, 1]);
    expect(read(startInfo + info.cmdlinePaddr, 4).getUint32(0, true)).toBe(0x00622061);
  });

  it('maps every guest frame to a frame of the domain, and M2P back', () => {
    const { build, domain, frames } = setting();
    build();
    for (let gfn = 0; gfn < 512; gfn++) {
      const mfn = domain.memory.frameOf(gfn);
      expect(frames.belongs(mfn, 3)).toBe(true);
      expect(frames.memory.u32[frames.m2pWord(mfn)]).toBe(gfn);
    }
    expect([
      domain.memory.frameOf(512),
      domain.memory.frameOf(-1),
      domain.memory.frameOf(1e15),
    ]).toEqual([-1, -1, -1]);
  });

  it('gives a guest frame back, map and frame', () => {
    const { build, domain, frames } = setting();
    build();
    const mfn = domain.memory.frameOf(500);
    expect(domain.memory.release(500)).toBe(true);
    expect([domain.memory.frameOf(500), frames.owner[mfn]]).toEqual([-1, 0xffff]);
    expect(domain.memory.release(500)).toBe(false);
  });

  it('gives everything back when the domain goes, zeroed', () => {
    const { build, domain, frames, machine, vcpu, before } = setting();
    const { startInfo } = build();
    machine.mmu.write(vcpu.arch, startInfo + 300 * 4096, new Uint8Array([1, 2, 3]));
    const mfn = domain.memory.frameOf(300);
    domain.grants.destroy();
    domain.memory.destroy();
    expect(frames.free).toBe(before);
    expect(machine.memory.frame(mfn)[0]).toBe(0);
  });

  it('throws RangeError for more than there is, taking nothing', () => {
    const { build, before, frames } = setting(5000);
    expect(build).toThrow(/^not enough memory/);
    expect(frames.free).toBe(before);
  });
});
