/**
 * The memory of one domain: its frames, how many it may have, its guest-physical map if it is
 * hardware-assisted, and everything that must be let go when it dies.
 */
import type { Mmu } from '../machine/mmu.ts';
import type { Domain } from './domain.ts';
import { Ept } from './ept.ts';
import type { FrameOwner, FrameTable } from './frames.ts';
import { FRAME_ALLOCATED, FRAME_PINNED, FRAME_SHARED, TYPE_SEG_DESC } from './page-types.ts';
import type { XenVcpu } from './xen-vcpu.ts';

const NO_FRAMES: readonly number[] = [];

export class DomainMemory implements FrameOwner {
  readonly id: number;
  readonly privileged: boolean;
  readonly scrubAll: boolean;
  head = 0;
  pages = 0;
  shared = 0;
  /** The most frames that the domain may have. */
  maxPages: number;
  /** Hardware-assisted: guest frame to machine frame. */
  readonly ept: Ept | undefined;
  readonly frames: FrameTable;
  readonly #domain: Domain;
  readonly #mmu: Mmu;
  /** Frames of each vCPU's descriptor table, typed seg_desc while it is loaded. */
  readonly #gdt = new Map<XenVcpu, readonly number[]>();

  /** @throws RangeError when there is no memory for the guest-physical map. */
  constructor(frames: FrameTable, mmu: Mmu, domain: Domain, maxPages: number) {
    this.id = domain.id;
    this.privileged = domain.privileged;
    this.scrubAll = domain.kind === 'hvm' || domain.privileged;
    this.frames = frames;
    this.maxPages = maxPages;
    this.#domain = domain;
    this.#mmu = mmu;
    this.ept = domain.kind === 'hvm' ? new Ept(frames) : undefined;
    frames.register(this);
  }

  /** A zeroed frame of the domain's reservation, or -1: none is left, here or at all. */
  allocate(): number {
    return this.pages < this.maxPages ? this.frames.allocate(this) : -1;
  }

  /** The machine frame that the domain calls `gfn`, or -1. */
  frameOf(gfn: number): number {
    if (this.ept) return this.ept.lookup(gfn);
    return this.frames.belongs(gfn, this.id) ? gfn : -1;
  }

  /** Give the frame `gfn` back. @returns false when it is not a frame of the reservation. */
  release(gfn: number): boolean {
    const mfn = this.frameOf(gfn);
    if (mfn < 0) return false;
    const kind = this.frames.flags[mfn]! & (FRAME_ALLOCATED | FRAME_SHARED);
    if (kind !== FRAME_ALLOCATED) return false;

    if (this.ept) {
      this.ept.clear(gfn);
      this.flush();
    }
    return this.frames.deallocate(mfn);
  }

  /** Forget every translation of the domain's vCPUs. */
  flush(): void {
    for (const vcpu of this.#domain.vcpus) this.#mmu.flush(vcpu.arch);
  }

  /**
   * Load a descriptor table of these frames (none: unload), each becoming seg_desc. @errors
   * -EINVAL: then the old one stays
   */
  loadGdt(vcpu: XenVcpu, mfns: readonly number[]): number {
    const { frames } = this;
    for (let i = 0; i < mfns.length; i++) {
      const result = frames.getType(mfns[i]!, this, TYPE_SEG_DESC);
      if (result === 0) continue;
      while (--i >= 0) frames.putType(mfns[i]!);
      return result;
    }

    const old = this.gdtFrames(vcpu);
    if (mfns.length === 0) this.#gdt.delete(vcpu);
    else this.#gdt.set(vcpu, mfns.slice());
    for (const mfn of old) frames.putType(mfn);
    return 0;
  }

  /** The frames of a vCPU's descriptor table. */
  gdtFrames(vcpu: XenVcpu): readonly number[] {
    return this.#gdt.get(vcpu) ?? NO_FRAMES;
  }

  /**
   * Drop everything: roots, pins, descriptor tables, frames. What others still map stays until they
   * unmap it.
   */
  destroy(): void {
    const { frames } = this;
    this.flush();
    for (const vcpu of this.#domain.vcpus) this.#dropVcpu(vcpu);
    const mfns = frames.list(this);
    for (const mfn of mfns) {
      if (!frames.belongs(mfn, this.id) || (frames.flags[mfn]! & FRAME_PINNED) === 0) continue;
      frames.flags[mfn]! &= ~FRAME_PINNED;
      frames.putType(mfn);
    }
    for (const mfn of mfns) {
      if (!frames.belongs(mfn, this.id)) continue;
      if ((frames.flags[mfn]! & FRAME_SHARED) !== 0) frames.typeCount[mfn]! -= 1;
      frames.deallocate(mfn);
      if (frames.belongs(mfn, this.id)) frames.abandon(this, mfn);
    }
    this.ept?.destroy();
    frames.unregister(this);
  }

  #dropVcpu(vcpu: XenVcpu): void {
    this.loadGdt(vcpu, NO_FRAMES);
    const { kernelRoot, userRoot } = vcpu;
    vcpu.kernelRoot = 0;
    vcpu.userRoot = 0;
    if (kernelRoot !== 0) this.frames.putType(kernelRoot);
    if (userRoot !== 0) this.frames.putType(userRoot);
  }
}
