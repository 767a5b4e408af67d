/**
 * PV domains that never run: their memory handlers are called directly. Registers are set, the
 * handler runs, RAX is its result.
 */
import { newBaseptr } from '../../hypervisor/base-pointer.ts';
import { PV_VIRT_BASE, type PvBoot } from '../../hypervisor/builder-pv.ts';
import type { Domain } from '../../hypervisor/domain.ts';
import type { FrameTable } from '../../hypervisor/frames.ts';
import { Hypervisor } from '../../hypervisor/hypervisor.ts';
import type { Handler } from '../../hypervisor/op.ts';
import type { XenVcpu } from '../../hypervisor/xen-vcpu.ts';
import type { Machine } from '../../machine/machine.ts';
import { PTE_A, PTE_D, PTE_P, PTE_RW, PTE_US, pteFrame } from '../../machine/pte.ts';
import { RSI, RSP } from '../../machine/vcpu.ts';
import { flatMachine } from '../support/machine-fixture.ts';

export const LEAF = PTE_P | PTE_RW | PTE_A;
export const READ_ONLY = PTE_P | PTE_A;
export const TABLE = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D;

export interface Fixture {
  machine: Machine;
  frames: FrameTable;
  xen: Hypervisor;
  /** Cycles charged through chargeHypercall. */
  charged(): number;
  guest(options?: { pages?: number; privileged?: boolean; vcpus?: number }): Guest;
}

export const fixture = (frameCount = 4096): Fixture => {
  const machine = flatMachine(frameCount, 12);
  const xen = new Hypervisor(machine, { consoleIo: () => {} });
  let charged = 0;
  xen.chargeHypercall = (_caller, cycles) => {
    charged += cycles;
  };
  let nextId = 0;
  const guest: Fixture['guest'] = ({ pages = 256, privileged = nextId === 0, vcpus = 1 } = {}) => {
    nextId++;
    const memoryBytes = pages * 4096;
    const idle = async (): Promise<void> => {};
    const domain = xen.create({
      name: 'test',
      kind: 'pv',
      guest: idle,
      memoryBytes,
      vcpus,
      privileged,
      cmdline: 'one two',
    });
    const root = domain.vcpus[0]!.kernelRoot;
    for (const vcpu of domain.vcpus) newBaseptr(xen, vcpu, root);
    return new Guest(xen, domain);
  };
  return { machine, frames: xen.frames, xen, charged: () => charged, guest };
};

export class Guest {
  readonly xen: Hypervisor;
  readonly domain: Domain;
  readonly boot: Omit<PvBoot, 'rip'>;
  readonly vcpu: XenVcpu;
  /** The first PFN that boot left free; the guest has it and all after. */
  readonly free: number;
  readonly #p2m: Uint32Array;

  constructor(xen: Hypervisor, domain: Domain) {
    this.xen = xen;
    this.domain = domain;
    this.vcpu = domain.vcpus[0]!;
    const { arch, kernelRoot } = this.vcpu;
    const boot = {
      startInfo: arch.gpr(RSI),
      rsp: arch.gpr(RSP),
      cr3Mfn: kernelRoot,
      storeMfn: domain.boot.storeMfn,
      consoleMfn: domain.boot.consoleMfn,
      sharedInfoMfn: domain.sharedInfoMfn,
    };
    this.boot = boot;
    this.free = (boot.rsp - PV_VIRT_BASE) / 4096;
    this.#p2m = new Uint32Array(domain.memory.pages);
    const { memory } = xen.machine;
    const leaf = (pfn: number): number => xen.machine.mmu.leaf(boot.cr3Mfn, this.va(pfn)) >>> 2;
    for (let pfn = 0; pfn < this.#p2m.length; pfn++) {
      const word = leaf(pfn);
      this.#p2m[pfn] = pteFrame(memory.u32[word]!, memory.u32[word + 1]!);
    }
  }

  va(pfn: number): number {
    return PV_VIRT_BASE + pfn * 4096;
  }

  mfn(pfn: number): number {
    return this.#p2m[pfn]!;
  }

  /** The bytes of one of its frames. */
  view(pfn: number): DataView {
    const { memory } = this.xen.machine;
    return new DataView(memory.wasm.buffer, memory.frameAt(this.mfn(pfn)), 4096);
  }

  /** Call `handler` with these argument registers. */
  call(handler: Handler, ...args: (number | bigint)[]): number {
    args.forEach((arg, i) => {
      const value = BigInt.asUintN(64, BigInt(arg));
      this.vcpu.setArg(i, Number(value & 0xffffffffn), Number(value >> 32n));
    });
    return handler(this.xen, this.vcpu);
  }

  /** The entry of the current tables for `va` at level 1, as stored. */
  entry(va: number): bigint {
    const at = this.xen.machine.mmu.leaf(this.vcpu.kernelRoot, va);
    return at < 0 ? 0n : this.xen.machine.memory.view.getBigUint64(at, true);
  }

  /** Zero the frame and write entries {index: value} into it, as a guest prepares a table. */
  fill(pfn: number, entries: Record<number, bigint> = {}): void {
    const view = this.view(pfn);
    for (let i = 0; i < 4096; i += 4) view.setUint32(i, 0, true);
    for (const [index, value] of Object.entries(entries))
      view.setBigUint64(Number(index) * 8, value, true);
    this.xen.frames.markUsed(this.mfn(pfn));
  }

  writable(va: number): boolean {
    return this.xen.machine.mmu.probe(this.vcpu.arch, va, 1) >= 0;
  }

  destroy(): void {
    this.xen.destroy(this.domain);
  }
}

export const pte = (mfn: number, flags: number, high = 0): bigint =>
  (BigInt(high) << 32n) | (BigInt(mfn) << 12n) | BigInt(flags);

/** Counts that every frame ought to have, from nothing but the tables and what holds them. */
export const recount = (
  frames: FrameTable,
  domains: Iterable<Domain>,
): { refs: Uint32Array; types: Uint32Array } => {
  const refs = new Uint32Array(frames.count);
  const types = new Uint32Array(frames.count);
  for (let mfn = 0; mfn < frames.count; mfn++) {
    const flags = frames.flags[mfn]!;
    if (flags & 1) refs[mfn]! += 1;
    if (flags & 2) hold(mfn);
    if (flags & 16) types[mfn]! += 1;
    const level = frames.type[mfn]!;
    if (level < 1 || level > 4 || frames.typeCount[mfn] === 0) continue;
    for (let slot = 0; slot < 512; slot++) {
      if (level === 4 && slot >= 256 && slot < 272) continue;
      const word = (frames.memory.frameAt(mfn) >>> 2) + 2 * slot;
      const lo = frames.memory.u32[word]!;
      if ((lo & PTE_P) === 0) continue;
      const target = pteFrame(lo, frames.memory.u32[word + 1]!);
      if (level > 1 && target === mfn) continue;
      refs[target]! += 1;
      if (level > 1 || (lo & PTE_RW) !== 0) types[target]! += 1;
    }
  }
  for (const { vcpus } of domains) {
    for (const vcpu of vcpus) {
      if (vcpu.kernelRoot) hold(vcpu.kernelRoot);
      if (vcpu.userRoot) hold(vcpu.userRoot);
    }
  }
  return { refs, types };

  function hold(mfn: number): void {
    refs[mfn]! += 1;
    types[mfn]! += 1;
  }
};
